/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/elf_file.c - see elf_file.h. The file is read piece by piece, never mapped; every place
 * in it is checked against what is there. (ELF: gabi, chapters 4 and 5; the GNU hash table:
 * binutils.)
 */
#include "core/elf_file.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ == 8
#define NATIVE_CLASS ELFCLASS64
#else
#define NATIVE_CLASS ELFCLASS32
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif
#if defined __x86_64__
#define IS_NATIVE(machine) ((machine) == EM_X86_64)
#elif defined __aarch64__
#define IS_NATIVE(machine) ((machine) == EM_AARCH64)
#else
#define IS_NATIVE(machine) true /* the loader refuses another one before it runs anything */
#endif

#define SEGMENTS_MAX 128u
#define DYNAMIC_MAX 1024u     /* entries; a large library has some 40 */
#define CHAIN_MAX 100000u     /* symbols that hash alike, in a file that is out of its mind */
#define SEARCH_PATH_MAX 4096u /* bytes of DT_RUNPATH that are looked at */

struct elf {
    int fd;
    uint64_t size;
    ElfW(Ehdr) header;
    ElfW(Phdr) segment[SEGMENTS_MAX];
    uint64_t symbols, strings, gnu_hash, sysv_hash; /* addresses; 0: none */
    uint64_t search_path;                           /* place in the strings; 0: none */
};

static bool read_at(const struct elf *elf, void *to, size_t n, uint64_t offset)
{
    return offset <= elf->size && n <= elf->size - offset &&
           pread(elf->fd, to, n, (off_t)offset) == (ssize_t)n;
}

/* Read what will be at an address, as far as the file has it. */
static bool read_address(const struct elf *elf, void *to, size_t n, uint64_t address)
{
    for (unsigned i = 0; i < elf->header.e_phnum; i++) {
        const ElfW(Phdr) *s = &elf->segment[i];

        if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr < s->p_filesz &&
            n <= s->p_filesz - (address - s->p_vaddr))
            return read_at(elf, to, n, s->p_offset + (address - s->p_vaddr));
    }
    return false;
}

static int read_headers(struct elf *elf, struct error *reterr)
{
    const ElfW(Ehdr) *header = &elf->header;

    if (!read_at(elf, &elf->header, sizeof elf->header, 0))
        return error_set(reterr, "the file is too short for a shared object");
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return error_set(reterr, "it is no shared object (no ELF header)");
    if (header->e_ident[EI_CLASS] != NATIVE_CLASS || header->e_ident[EI_DATA] != NATIVE_DATA ||
        !IS_NATIVE(header->e_machine))
        return error_set(reterr, "it is built for another machine (ELF class %u, machine %u)",
                         header->e_ident[EI_CLASS], header->e_machine);
    if (header->e_type != ET_DYN || header->e_phentsize != sizeof elf->segment[0] ||
        header->e_phnum > SEGMENTS_MAX)
        return error_set(reterr, "it is no shared object (ELF type %u, %u segments)",
                         header->e_type, header->e_phnum);
    if (!read_at(elf, elf->segment, header->e_phnum * sizeof elf->segment[0], header->e_phoff))
        return error_set(reterr, "the file ends too early: was it copied in part?");
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *s = &elf->segment[i];

        if (s->p_type == PT_LOAD &&
            (s->p_offset > elf->size || s->p_filesz > elf->size - s->p_offset))
            return error_set(reterr, "the file ends too early: was it copied in part?");
    }
    return 0;
}

static void read_dynamic(struct elf *elf, uint64_t offset)
{
    ElfW(Dyn) entry;

    for (unsigned i = 0; i < DYNAMIC_MAX; i++) {
        if (!read_at(elf, &entry, sizeof entry, offset + i * sizeof entry))
            return;
        switch (entry.d_tag) {
        case DT_NULL:
            return;
        case DT_SYMTAB:
            elf->symbols = entry.d_un.d_ptr;
            break;
        case DT_STRTAB:
            elf->strings = entry.d_un.d_ptr;
            break;
        case DT_GNU_HASH:
            elf->gnu_hash = entry.d_un.d_ptr;
            break;
        case DT_HASH:
            elf->sysv_hash = entry.d_un.d_ptr;
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            elf->search_path = entry.d_un.d_val;
            break;
        default:
            break;
        }
    }
}

/* Whether symbol number i is a function of this name, and defined here. */
static bool is_symbol(const struct elf *elf, uint32_t i, const char *name)
{
    ElfW(Sym) symbol;
    char found[256];
    size_t n = strlen(name) + 1;

    if (n > sizeof found ||
        !read_address(elf, &symbol, sizeof symbol, elf->symbols + i * sizeof symbol) ||
        symbol.st_shndx == SHN_UNDEF || !read_address(elf, found, n, elf->strings + symbol.st_name))
        return false;
    return memcmp(found, name, n) == 0 && (symbol.st_info & 0xf) == STT_FUNC &&
           (symbol.st_other & 0x3) == STV_DEFAULT;
}

static bool find_gnu(const struct elf *elf, const char *name)
{
    struct {
        uint32_t n_buckets, first, n_bloom, shift;
    } table;
    uint64_t buckets, chains;
    uint32_t hash = 5381, i, word;

    for (const char *p = name; *p != '\0'; p++)
        hash = hash * 33 + (unsigned char)*p;
    if (!read_address(elf, &table, sizeof table, elf->gnu_hash) || table.n_buckets == 0)
        return false;
    buckets = elf->gnu_hash + sizeof table + (uint64_t)table.n_bloom * sizeof(ElfW(Addr));
    chains = buckets + (uint64_t)table.n_buckets * sizeof word;
    if (!read_address(elf, &i, sizeof i, buckets + hash % table.n_buckets * sizeof i) ||
        i < table.first)
        return false;
    for (unsigned n = 0; n < CHAIN_MAX; n++, i++) {
        if (!read_address(elf, &word, sizeof word,
                          chains + (uint64_t)(i - table.first) * sizeof word))
            return false;
        if ((word | 1) == (hash | 1) && is_symbol(elf, i, name))
            return true;
        if ((word & 1) != 0)
            return false;
    }
    return false;
}

static bool find_sysv(const struct elf *elf, const char *name)
{
    uint32_t table[2], hash = 0, i; /* n_buckets, n_chains */
    const uint64_t buckets = elf->sysv_hash + sizeof table;

    for (const char *p = name; *p != '\0'; p++) {
        hash = (hash << 4) + (unsigned char)*p;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    if (!read_address(elf, table, sizeof table, elf->sysv_hash) || table[0] == 0 ||
        !read_address(elf, &i, sizeof i, buckets + hash % table[0] * sizeof i))
        return false;
    for (unsigned n = 0; n < CHAIN_MAX && i != STN_UNDEF && i < table[1]; n++) {
        if (is_symbol(elf, i, name))
            return true;
        if (!read_address(elf, &i, sizeof i, buckets + ((uint64_t)table[0] + i) * sizeof i))
            return false;
    }
    return false;
}

static bool has_origin(const struct elf *elf)
{
    char path[SEARCH_PATH_MAX];

    if (elf->search_path == 0)
        return false;
    for (size_t n = 0; n < sizeof path; n++) {
        if (!read_address(elf, &path[n], 1, elf->strings + elf->search_path + n))
            return false;
        if (path[n] == '\0')
            return strstr(path, "$ORIGIN") != NULL || strstr(path, "${ORIGIN}") != NULL;
    }
    return true; /* too long to tell */
}

int elf_file_check(int fd, const char *symbol, struct elf_facts *ret, struct error *reterr)
{
    struct elf elf = {.fd = fd};
    struct stat st;

    *ret = (struct elf_facts){.exports = false};
    if (fstat(fd, &st) != 0 || st.st_size < 0)
        return error_set(reterr, "the file cannot be read");
    elf.size = (uint64_t)st.st_size;
    if (read_headers(&elf, reterr) != 0)
        return -1;
    for (unsigned i = 0; i < elf.header.e_phnum; i++) {
        if (elf.segment[i].p_type == PT_DYNAMIC)
            read_dynamic(&elf, elf.segment[i].p_offset);
    }
    ret->exports = (elf.gnu_hash != 0 && find_gnu(&elf, symbol)) ||
                   (elf.sysv_hash != 0 && find_sysv(&elf, symbol));
    ret->uses_origin = has_origin(&elf);
    return 0;
}
