/* SPDX-License-Identifier: Apache-2.0 */
/* host/check/memory.c - see memory.h. The C library finds these functions before its own. */
#include "check/memory.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uintptr_t code_begin, code_end;
static _Atomic unsigned left; /* until the one that fails; 0: none does */
static _Atomic bool failed;

static int find(struct dl_phdr_info *info, size_t size, void *path)
{
    (void)size;
    if (strcmp(info->dlpi_name, path) != 0)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0) {
            code_begin = info->dlpi_addr + header->p_vaddr;
            code_end = code_begin + header->p_memsz;
        }
    }
    return 1;
}

void memory_fail_nth(const char *path, unsigned n)
{
    char copy[4096];

    if (strlen(path) >= sizeof copy)
        return;
    memcpy(copy, path, strlen(path) + 1);
    (void)dl_iterate_phdr(find, copy);
    atomic_store(&left, n);
}

bool memory_has_failed(void)
{
    return atomic_load(&failed);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

#ifndef HAS_SANITIZER
#define EXPORT __attribute__((visibility("default")))

/* The C library's own, by the names that it has for this. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static bool fails(const void *caller)
{
    unsigned n = atomic_load_explicit(&left, memory_order_relaxed);

    if (n == 0 || (uintptr_t)caller < code_begin || (uintptr_t)caller >= code_end)
        return false;
    do {
        if (n == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&left, &n, n - 1));
    if (n != 1)
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t n);
EXPORT void *calloc(size_t n, size_t size);
EXPORT void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n);
}
#endif
