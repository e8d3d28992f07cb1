/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_tls.c - good and bad PEM files, made by OpenSSL as the test runs. */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "send/tls.h"
#include "certs.h"
