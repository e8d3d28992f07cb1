/* SPDX-License-Identifier: Apache-2.0 */
/* host/core/elf_file.c - see elf_file.h. */
#include "core/elf_file.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CUT_SHORT "the file ends too early: was it copied in part?"

#if __SIZEOF_POINTER__ == 8
#define NATIVE_CLASS ELFCLASS64
#else
#define NATIVE_CLASS ELFCLASS32
#endif

static bool read_at(int fd, void *to, size_t n, uint64_t offset)
{
    return offset <= INT64_MAX && pread(fd, to, n, (off_t)offset) == (ssize_t)n;
}

static const char *check(int fd)
{
    struct stat st;
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !read_at(fd, &header, sizeof header, 0) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != NATIVE_CLASS ||
        header.e_phentsize != sizeof segment)
        return NULL;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        if (!read_at(fd, &segment, sizeof segment, header.e_phoff + i * sizeof segment))
            return CUT_SHORT;
        if (segment.p_type == PT_LOAD &&
            (segment.p_offset > (uint64_t)st.st_size ||
             segment.p_filesz > (uint64_t)st.st_size - segment.p_offset))
            return CUT_SHORT;
    }
    return NULL;
}

const char *elf_file_wrong(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *wrong;

    if (fd < 0)
        return NULL;
    wrong = check(fd);
    (void)close(fd); /* only read */
    return wrong;
}
