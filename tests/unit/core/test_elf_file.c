/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/test_elf_file.c - what is found out of a shared object without mapping it. The
 * object is this program's own C library or a plugin of the tests, whole, cut and damaged. (2.13)
 */
#include <criterion/criterion.h>

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
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

/* ---- objects made by the letter, with what no linker puts into one ---- */

#define N_NAMES 6u
#define BASE 0x10000u /* what is at BASE + n in memory is at PLACE + n in the file */
#define PLACE 0x400u

/* The symbols of an object: name i is names[i], or nothing. */
struct made {
    Elf64_Ehdr header;
    Elf64_Phdr segment[4];
    unsigned char gap[PLACE - sizeof(Elf64_Ehdr) - 4 * sizeof(Elf64_Phdr)];
    uint32_t sysv[2 + 3 + 1 + N_NAMES];
    Elf64_Sym symbol[1 + N_NAMES]; /* the first one is nobody */
    struct {
        uint32_t n_buckets, first, n_bloom, shift;
        uint64_t bloom[1];
        uint32_t buckets[1];
        uint32_t chain[N_NAMES];
    } gnu;
    char strings[256];
    Elf64_Dyn dynamic[8];
};

static struct made made;
static size_t strings_end;
static uint32_t n_buckets = 3; /* of the System V table, 3 at most */

static const char *const made_names[N_NAMES] = {"one",  "spoe_plugin_entry_v0", ENTRY, "four",
                                                "five", "a_rather_long_name"};

static uint64_t address_of(const void *p)
{
    return BASE + (uint64_t)((const char *)p - (const char *)&made) - PLACE;
}

/* elf(5) and the System V ABI */
static uint32_t sysv_hash(const char *name)
{
    uint32_t h = 0, g;

    for (; *name != '\0'; name++) {
        h = (h << 4) + (unsigned char)*name;
        g = h & 0xf0000000;
        if (g != 0)
            h ^= g >> 24;
        h &= ~g;
    }
    return h;
}

static uint32_t gnu_hash(const char *name)
{
    uint32_t h = 5381;

    for (; *name != '\0'; name++)
        h = h * 33 + (unsigned char)*name;
    return h;
}

static void make_tables(void)
{
    uint32_t *const bucket = made.sysv + 2, *const chain = bucket + n_buckets;

    made.sysv[0] = n_buckets;
    made.sysv[1] = 1 + N_NAMES;
    made.gnu.n_buckets = 1;
    made.gnu.first = 1;
    made.gnu.n_bloom = 1;
    made.gnu.bloom[0] = UINT64_MAX;
    made.gnu.buckets[0] = 1;
    for (uint32_t i = 0; i < N_NAMES; i++) {
        const uint32_t b = sysv_hash(made_names[i]) % n_buckets;

        chain[1 + i] = bucket[b];
        bucket[b] = 1 + i;
        made.gnu.chain[i] = (gnu_hash(made_names[i]) & ~1u) | (i + 1 == N_NAMES);
    }
}

static void make(void)
{
    size_t n = 1;

    memset(&made, 0, sizeof made);
    memcpy(&made.header, whole, sizeof made.header); /* of this machine */
    made.header.e_phoff = offsetof(struct made, segment);
    made.header.e_phnum = 4;
    /* Two more segments around the one that holds it all, as every object has. */
    made.segment[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_filesz = PLACE, .p_memsz = PLACE};
    made.segment[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                   .p_offset = PLACE,
                                   .p_vaddr = BASE,
                                   .p_filesz = sizeof made - PLACE,
                                   .p_memsz = sizeof made - PLACE};
    made.segment[2] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x90000, .p_filesz = 16};
    made.segment[3] = (Elf64_Phdr){.p_type = PT_DYNAMIC,
                                   .p_offset = offsetof(struct made, dynamic),
                                   .p_vaddr = address_of(made.dynamic),
                                   .p_filesz = sizeof made.dynamic};
    for (size_t i = 0; i < N_NAMES; i++) {
        memcpy(made.strings + n, made_names[i], strlen(made_names[i]));
        made.symbol[1 + i] = (Elf64_Sym){
            .st_name = (uint32_t)n, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = 1};
        n += strlen(made_names[i]) + 1;
    }
    strings_end = offsetof(struct made, strings) + n;
    make_tables();
    made.dynamic[0] = (Elf64_Dyn){DT_SYMTAB, {address_of(made.symbol)}};
    made.dynamic[1] = (Elf64_Dyn){DT_STRTAB, {address_of(made.strings)}};
    made.dynamic[2] = (Elf64_Dyn){DT_DEBUG, {0}};
}

enum table { WITH_SYSV, WITH_GNU };

static void use_table(enum table table)
{
    made.dynamic[3] = table == WITH_SYSV ? (Elf64_Dyn){DT_HASH, {address_of(made.sysv)}}
                                         : (Elf64_Dyn){DT_GNU_HASH, {address_of(&made.gnu)}};
}

static struct elf_facts facts_of_made(const char *name)
{
    int fd = file_of(&made, sizeof made);
    struct elf_facts facts;
    struct error error = {{0}};

    cr_assert_eq(elf_file_check(fd, name, &facts, &error), 0, "%s", error.text);
    (void)close(fd);
    return facts;
}

/* 2.13, 9.2: each symbol by either table, wherever it stands in its chain. */
Test(elf_file, every_symbol_is_found_by_either_table)
{
    for (int table = WITH_SYSV; table <= WITH_GNU; table++) {
        make();
        cr_assert_not(facts_of_made(ENTRY).exports, "without a table");
        use_table((enum table)table);
        for (size_t i = 0; i < N_NAMES; i++)
            cr_assert(facts_of_made(made_names[i]).exports, "table %d, %s", table, made_names[i]);
        cr_assert_not(facts_of_made("two").exports);
    }
}

/* 9.2: neither the beginning of a name nor one that goes on is that name. */
Test(elf_file, names_are_compared_to_their_end)
{
    n_buckets = 1; /* every name is compared with every other */
    make();
    use_table(WITH_SYSV);
    for (size_t i = 0; i < N_NAMES; i++) {
        const size_t n = strlen(made_names[i]);
        char name[64];

        for (size_t len = 0; len <= n + 1; len++) {
            memset(name, 0, sizeof name);
            memcpy(name, made_names[i], n);
            name[n] = 'x';
            name[len] = '\0';
            cr_assert_eq(facts_of_made(name).exports, len == n, "%s", name);
        }
    }
}

/* 9.2: what is in memory but not in the file is nothing. */
Test(elf_file, what_the_file_does_not_have_is_not_read)
{
    for (int table = WITH_SYSV; table <= WITH_GNU; table++) {
        make();
        use_table((enum table)table);
        made.segment[1].p_filesz = strings_end - PLACE;
        cr_assert(facts_of_made(made_names[N_NAMES - 1]).exports, "its NUL is the last byte");
        made.segment[1].p_filesz--;
        cr_assert_not(facts_of_made(made_names[N_NAMES - 1]).exports);
        cr_assert(facts_of_made(ENTRY).exports);
    }
}

/* 9.2: what dlsym() would not give, or what is no function, is not the entry of a plugin. */
Test(elf_file, only_a_visible_function_of_its_own_counts)
{
    Elf64_Sym *const entry = &made.symbol[3];

    for (int table = WITH_SYSV; table <= WITH_GNU; table++) {
        make();
        use_table((enum table)table);
        for (unsigned char type = 0; type < 16; type++) {
            entry->st_info = ELF64_ST_INFO(STB_GLOBAL, type);
            cr_assert_eq(facts_of_made(ENTRY).exports, type == STT_FUNC, "type %u", type);
        }
        entry->st_info = ELF64_ST_INFO(STB_WEAK, STT_FUNC);
        cr_assert(facts_of_made(ENTRY).exports);
        for (unsigned char seen = STV_DEFAULT; seen <= STV_PROTECTED; seen++) {
            entry->st_other = seen;
            cr_assert_eq(facts_of_made(ENTRY).exports, seen == STV_DEFAULT, "visibility %u", seen);
        }
        entry->st_other = STV_DEFAULT;
        entry->st_shndx = SHN_UNDEF;
        cr_assert_not(facts_of_made(ENTRY).exports);
    }
}

/* 9.2: as the loader looks: a chain ends where it says so, and a bucket may be empty. */
Test(elf_file, nothing_is_found_behind_the_end_of_a_chain)
{
    make();
    use_table(WITH_GNU);
    made.gnu.chain[1] |= 1; /* the entry is the next one */
    cr_assert(facts_of_made("one").exports);
    cr_assert_not(facts_of_made(ENTRY).exports);
    made.gnu.chain[1] &= ~1u;
    made.gnu.buckets[0] = 0;
    cr_assert_not(facts_of_made(ENTRY).exports);
    made.gnu.n_buckets = 0;
    cr_assert_not(facts_of_made(ENTRY).exports);

    make();
    use_table(WITH_SYSV);
    made.sysv[1] = 3; /* names 0 to 2: the entry is number 3 */
    cr_assert_not(facts_of_made(ENTRY).exports);
    made.sysv[1] = 1 + N_NAMES;
    for (uint32_t i = 0; i < 3; i++)
        made.sysv[2 + i] = STN_UNDEF;
    cr_assert_not(facts_of_made(ENTRY).exports);
    made.sysv[0] = 0;
    cr_assert_not(facts_of_made(ENTRY).exports);
}

/* 9.2: a chain that leads back to itself ends all the same. */
Test(elf_file, a_chain_in_a_circle_has_an_end)
{
    make();
    use_table(WITH_SYSV);
    for (uint32_t i = 0; i < N_NAMES; i++)
        made.sysv[2 + 3 + 1 + i] = 1 + i; /* each is the next of itself */
    cr_assert_not(facts_of_made("nobody").exports);
    cr_assert_not(facts_of_made("another").exports);
    cr_assert_not(facts_of_made("a third").exports);
}

/* 2.13, 9.2 */
Test(elf_file, libraries_beside_the_file_are_seen)
{
    static const struct {
        const char *path;
        bool uses;
    } cases[] = {{"/usr/lib", false},      {"$ORIGIN", true},         {"/a:$ORIGIN/../lib", true},
                 {"/a:${ORIGIN}/b", true}, {"/a/ORIGIN:$LIB", false}, {"", false}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int old = 0; old < 2; old++) {
            const size_t at = sizeof made.strings - 64;

            make();
            use_table(WITH_SYSV);
            memcpy(made.strings + at, cases[i].path, strlen(cases[i].path) + 1);
            made.dynamic[4] = (Elf64_Dyn){old ? DT_RPATH : DT_RUNPATH, {at}};
            cr_assert_eq(facts_of_made(ENTRY).uses_origin, cases[i].uses, "%s", cases[i].path);
            cr_assert(facts_of_made(ENTRY).exports);
            /* Behind the end of the table nothing counts. */
            made.dynamic[4] = made.dynamic[7];
            made.dynamic[5] = (Elf64_Dyn){DT_RUNPATH, {at}};
            cr_assert_not(facts_of_made(ENTRY).uses_origin);
        }
    }
}
