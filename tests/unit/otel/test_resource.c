/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/otel/test_resource.c - attributes of the resource, and what a process finds out. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/resource.h"

#define N(array) (sizeof(array) / sizeof(array)[0])
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SANDBOX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

TestSuite(resource, .timeout = 20);

Test(resource, a_key_is_there_once)
{
    struct resource r = {NULL, 0};

    cr_assert_eq(resource_set_str(&r, "a", "1"), 0);
    cr_assert_eq(resource_set_int(&r, "n", 7), 0);
    cr_assert_eq(resource_set_str(&r, "a", "2"), 0);
    cr_assert_eq(resource_set_str(&r, "b", ""), 0);
    cr_expect_eq(r.n, 3);
    cr_expect_str_eq(resource_str(&r, "a"), "2");
    cr_expect_null(resource_str(&r, "n"));
    cr_expect_null(resource_str(&r, "c"));
    resource_remove(&r, "a");
    resource_remove(&r, "none");
    cr_expect_eq(r.n, 2);
    cr_expect_str_eq(r.item[0].key, "n");
    cr_expect_eq(r.item[0].i, 7);
    cr_expect_str_eq(r.item[1].key, "b");
    resource_fini(&r);
    cr_expect_eq(r.n, 0);
}

/* 9.2 */
Test(resource, an_instance_id_is_random_in_all_its_digits)
{
    static const char form[] = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx";
    enum { IDS = 64 };
    static char ids[IDS][sizeof form];

    for (size_t i = 0; i < IDS; i++) {
        struct resource r = {NULL, 0};

        cr_assert_eq(resource_detect(&r), 0);
        (void)snprintf(ids[i], sizeof ids[i], "%s", resource_str(&r, "service.instance.id"));
        resource_fini(&r);
    }
    for (size_t a = 0; form[a] != '\0'; a++) {
        for (size_t b = 0; form[a] == 'x' && b < a; b++) {
            size_t same = 0;

            for (size_t i = 0; i < IDS; i++)
                same += ids[i][a] == ids[i][b];
            cr_assert_lt(same, IDS, "digits %zu and %zu are always the same", b, a);
        }
    }
}

Test(resource, a_process_knows_itself)
{
    struct resource r = {NULL, 0}, other = {NULL, 0};
    const char *id;

    cr_assert_eq(resource_detect(&r), 0);
    cr_assert_eq(resource_detect(&other), 0);
    id = resource_str(&r, "service.instance.id");
    cr_assert_not_null(id);
    cr_expect_eq(strlen(id), 36);
    cr_expect_eq(strspn(id, "0123456789abcdef-"), 36);
    cr_expect_eq(id[14], '4');
    cr_expect_not_null(strchr("89ab", id[19]));
    cr_expect_str_neq(id, resource_str(&other, "service.instance.id"));
    cr_expect_not_null(resource_str(&r, "host.name"));
    for (size_t i = 0; i < r.n; i++) {
        if (strcmp(r.item[i].key, "process.pid") == 0)
            cr_expect_eq(r.item[i].i, getpid());
    }
    resource_fini(&r);
    resource_fini(&other);
}

Test(resource, what_is_set_stays)
{
    struct resource r = {NULL, 0};

    cr_assert_eq(resource_set_str(&r, "service.instance.id", "mine"), 0);
    cr_assert_eq(resource_set_str(&r, "host.name", "h"), 0);
    cr_assert_eq(resource_set_str(&r, "process.pid", "1"), 0);
    cr_assert_eq(resource_detect(&r), 0);
    cr_expect_str_eq(resource_str(&r, "service.instance.id"), "mine");
    cr_expect_str_eq(resource_str(&r, "host.name"), "h");
    cr_expect_str_eq(resource_str(&r, "process.pid"), "1");
    resource_fini(&r);
}

static FILE *open_text(const char *text)
{
    FILE *file = text[0] != '\0' ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : NULL;

    cr_assert(file != NULL || text[0] == '\0');
    return file;
}

Test(resource, container_ids)
{
    static const struct {
        const char *cgroup, *mountinfo;
        bool found;
    } cases[] = {
        /* cgroup version 1: Docker, Kubernetes with containerd, with CRI-O, with systemd */
        {"12:pids:/docker/" ID "\n", "", true},
        {"1:name=systemd:/\n3:cpu:/kubepods/besteffort/pod1f/" ID, "", true},
        {"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope\n", "", true},
        {"0::/machine.slice/crio-" ID ".scope", "", true},
        {"0::/system.slice/docker-" ID ".scope\n", "", true},
        /* cgroup version 2: only the mounts tell */
        {"0::/\n",
         "700 699 254:1 /var/lib/docker/containers/" ID "/resolv.conf /etc/resolv.conf rw - ext4\n",
         true},
        {"0::/\n", "1 2 0:1 /containers/storage/overlay-containers/" ID "/userdata/hostname /x",
         true},
        /* Kubernetes mounts the pod's files, whose id is not the container's */
        {"0::/\n",
         "1 2 0:1 /containerd/io.containerd.grpc.v1.cri/sandboxes/" SANDBOX "/hostname /x", false},
        {"0::/user.slice/user-0.slice/session-1.scope\n", "1 2 0:1 / / rw - ext4 /dev/sda1\n",
         false},
        {"12:pids:/docker/" ID "0\n", "", false},
        {"12:pids:/docker/x" ID "\n", "", false},
        {"12:pids:/docker/" ID "/child\n", "", false},
        {"12:pids:/docker/0123\n", "1 2 0:1 /containers/0123/x /y\n", false},
        {"", "", false},
    };

    for (size_t i = 0; i < N(cases); i++) {
        FILE *cgroup = open_text(cases[i].cgroup), *mountinfo = open_text(cases[i].mountinfo);
        char id[CONTAINER_ID_MAX];

        cr_expect_eq(resource_container_id(cgroup, mountinfo, id), cases[i].found, "case %zu", i);
        if (cases[i].found)
            cr_expect_str_eq(id, ID, "case %zu", i);
        if (cgroup != NULL)
            (void)fclose(cgroup);
        if (mountinfo != NULL)
            (void)fclose(mountinfo);
    }
}
