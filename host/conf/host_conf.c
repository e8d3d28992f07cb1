#include "conf/host_conf.h"
