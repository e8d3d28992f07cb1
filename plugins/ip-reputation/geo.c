/* SPDX-License-Identifier: Apache-2.0 */
/* plugins/ip-reputation/geo.c - see geo.h. */
#include "geo.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <maxminddb.h>

#define COPY_BYTES (1u << 20)

struct database {
    MMDB_s mmdb;
    bool is_open;
};

struct geo {
    struct database country, asn;
};

bool geo_is_built(void)
{
    return true;
}

/* @return 0; -1 with errno */
static int copy(int from, int to)
{
    ssize_t n;
    size_t sum = 0;
    char *buffer = malloc(COPY_BYTES);

    if (buffer == NULL)
        return -1;
    while ((n = read(from, buffer, COPY_BYTES)) > 0) {
        ssize_t done = 0, more;

        sum += (size_t)n;
        if (sum > GEO_BYTES_MAX) {
            errno = EFBIG;
            n = -1;
            break;
        }
        while (done < n && (more = write(to, buffer + done, (size_t)(n - done))) > 0)
            done += more;
        if (done < n) {
            n = -1;
            break;
        }
    }
    free(buffer);
    return n == 0 ? 0 : -1;
}

/* @return a descriptor of the copy; -1 with errno */
static int copy_of(const char *path)
{
    const int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int to = -1, error;
    struct stat st;

    if (from < 0)
        return -1;
    errno = EINVAL;
    if (fstat(from, &st) == 0 && S_ISREG(st.st_mode) &&
        (to = memfd_create("ip-reputation", MFD_CLOEXEC)) >= 0 && copy(from, to) != 0) {
        error = errno;
        (void)close(to);
        errno = error;
        to = -1;
    }
    error = errno;
    (void)close(from);
    errno = error;
    return to;
}

static int open_database(struct database *database, const char *path, char ret_why[WHY_MAX])
{
    char name[64];
    int fd, status;

    if (path == NULL)
        return 0;
    fd = copy_of(path);
    if (fd < 0) {
        (void)snprintf(ret_why, WHY_MAX, "%.300s: %s", path,
                       errno == EINVAL ? "not a regular file" : strerror(errno));
        return -1;
    }
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    status = MMDB_open(name, MMDB_MODE_MMAP, &database->mmdb);
    (void)close(fd); /* what is mapped stays */
    if (status != MMDB_SUCCESS) {
        (void)snprintf(ret_why, WHY_MAX, "%.300s: %s", path, MMDB_strerror(status));
        return -1;
    }
    database->is_open = true;
    return 0;
}

struct geo *geo_open(const char *country, const char *asn, char ret_why[WHY_MAX])
{
    struct geo *geo = calloc(1, sizeof *geo);

    if (geo == NULL) {
        (void)snprintf(ret_why, WHY_MAX, "out of memory");
        return NULL;
    }
    if (open_database(&geo->country, country, ret_why) == 0 &&
        open_database(&geo->asn, asn, ret_why) == 0)
        return geo;
    geo_close(geo);
    return NULL;
}

void geo_close(struct geo *geo)
{
    if (geo == NULL)
        return;
    if (geo->country.is_open)
        MMDB_close(&geo->country.mmdb);
    if (geo->asn.is_open)
        MMDB_close(&geo->asn.mmdb);
    free(geo);
}

/* @return whether there is such a value */
static bool find(const struct database *database, const struct spoe_value *ip,
                 const char *const *path, MMDB_entry_data_s *ret)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {0}};
    MMDB_lookup_result_s result;
    int error = MMDB_SUCCESS;

    if (!database->is_open)
        return false;
    if (ip->type == SPOE_T_IPV4) {
        address.v4.sin_family = AF_INET;
        memcpy(&address.v4.sin_addr, ip->u.ip4, sizeof ip->u.ip4);
    } else {
        address.v6.sin6_family = AF_INET6;
        memcpy(&address.v6.sin6_addr, ip->u.ip6, sizeof ip->u.ip6);
    }
    result = MMDB_lookup_sockaddr(&database->mmdb, &address.any, &error);
    return error == MMDB_SUCCESS && result.found_entry &&
           MMDB_aget_value(&result.entry, ret, path) == MMDB_SUCCESS && ret->has_data;
}

struct spoe_span geo_country(const struct geo *geo, const struct spoe_value *ip)
{
    static const char *const path[] = {"country", "iso_code", NULL};
    MMDB_entry_data_s data;

    if (geo == NULL || !find(&geo->country, ip, path, &data) ||
        data.type != MMDB_DATA_TYPE_UTF8_STRING)
        return (struct spoe_span){NULL, 0};
    return (struct spoe_span){data.utf8_string, data.data_size};
}

uint32_t geo_asn(const struct geo *geo, const struct spoe_value *ip)
{
    static const char *const path[] = {"autonomous_system_number", NULL};
    MMDB_entry_data_s data;

    if (geo == NULL || !find(&geo->asn, ip, path, &data))
        return 0;
    return data.type == MMDB_DATA_TYPE_UINT32   ? data.uint32
           : data.type == MMDB_DATA_TYPE_UINT16 ? data.uint16
                                                : 0;
}
