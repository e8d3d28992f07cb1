/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_elf_file.c - what is found out of a shared object without mapping it. The
 * object is this program's own C library or a plugin of the tests, whole, cut and damaged. (2.13)
 */
#include <criterion/criterion.h>

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/elf_file.h"

#define ENTRY "spoe_plugin_entry_v1"

static unsigned char *whole;
static size_t size;

static void load(void)
{
    int fd = open(getenv("SPOE_TEST_PLUGIN"), O_RDONLY | O_CLOEXEC);
    struct stat st;

    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    size = (size_t)st.st_size;
    whole = malloc(size);
    cr_assert(whole != NULL && read(fd, whole, size) == (ssize_t)size);
    (void)close(fd);
}

static void unload(void)
{
    free(whole);
}

static int file_of(const void *data, size_t n)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);

    cr_assert(fd >= 0 && write(fd, data, n) == (ssize_t)n);
    return fd;
}

TestSuite(elf_file, .timeout = 120, .init = load, .fini = unload);

Test(elf_file, finds_a_function_that_is_defined)
{
    int fd = file_of(whole, size);
    struct elf_facts facts;
    struct error error;

    cr_assert_eq(elf_file_check(fd, ENTRY, &facts, &error), 0);
    cr_expect(facts.exports);
    cr_expect(!facts.uses_origin);
    cr_assert_eq(elf_file_check(fd, "spoe_plugin_entry_v2", &facts, &error), 0);
    cr_expect(!facts.exports);
    cr_assert_eq(elf_file_check(fd, "", &facts, &error), 0);
    cr_expect(!facts.exports);
    (void)close(fd);
}

/* memcpy() and the like are in the table, but come from elsewhere. */
Test(elf_file, does_not_find_what_is_only_used)
{
    int fd = file_of(whole, size);
    struct elf_facts facts;
    struct error error;

    cr_assert_eq(elf_file_check(fd, "__cxa_finalize", &facts, &error), 0);
    cr_expect(!facts.exports);
    (void)close(fd);
}

Test(elf_file, says_what_is_no_shared_object)
{
    static const char text[] =
        "not a library, but long enough to be one, if only it began as one does";
    struct elf_facts facts;
    struct error error;
    int fd = file_of(text, sizeof text);

    cr_assert_eq(elf_file_check(fd, ENTRY, &facts, &error), -1);
    cr_expect_str_eq(error.text, "it is no shared object (no ELF header)");
    (void)close(fd);
    fd = file_of(text, 3);
    cr_assert_eq(elf_file_check(fd, ENTRY, &facts, &error), -1);
    cr_expect_str_eq(error.text, "the file is too short for a shared object");
    (void)close(fd);
    whole[EI_CLASS] = ELFCLASS32;
    fd = file_of(whole, size);
    cr_assert_eq(elf_file_check(fd, ENTRY, &facts, &error), -1);
    cr_expect(strstr(error.text, "another machine") != NULL, "%s", error.text);
    (void)close(fd);
    whole[EI_CLASS] = ELFCLASS64;
    ((Elf64_Ehdr *)(void *)whole)->e_type = ET_EXEC;
    fd = file_of(whole, size);
    cr_assert_eq(elf_file_check(fd, ENTRY, &facts, &error), -1);
    cr_expect(strstr(error.text, "ELF type 2") != NULL, "%s", error.text);
    (void)close(fd);
}

/* Up to the end of the last segment every length is too short, and said to be. */
Test(elf_file, a_file_that_is_cut_is_never_whole)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)whole;
    const Elf64_Phdr *segment = (const Elf64_Phdr *)(const void *)(whole + header->e_phoff);
    size_t end = 0;

    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segment[i].p_type == PT_LOAD && segment[i].p_offset + segment[i].p_filesz > end)
            end = segment[i].p_offset + segment[i].p_filesz;
    }
    for (size_t n = 0; n <= end; n += n + 97 < end ? 97 : 1) {
        int fd = file_of(whole, n);
        struct elf_facts facts;
        struct error error;
        int result = elf_file_check(fd, ENTRY, &facts, &error);

        cr_expect_eq(result, n == end ? 0 : -1, "%zu of %zu: %d", n, end, result);
        (void)close(fd);
    }
}

/* Whatever stands there: an answer, in a time that is bounded, and nothing read that is not there.
 */
Test(elf_file, any_byte_may_be_wrong)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};

    for (size_t at = 0; at < 4096 && at < size; at++) {
        const unsigned char right = whole[at];

        for (size_t v = 0; v < sizeof values; v++) {
            struct elf_facts facts;
            struct error error = {{0}};
            int fd;

            whole[at] = values[v];
            fd = file_of(whole, size);
            if (elf_file_check(fd, ENTRY, &facts, &error) != 0)
                cr_expect(error.text[0] != '\0');
            (void)close(fd);
        }
        whole[at] = right;
    }
}
