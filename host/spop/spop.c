#include "spop/spop.h"
