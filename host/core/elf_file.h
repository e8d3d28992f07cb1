/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/elf_file.h - what a shared object is, before anything of it is mapped or run: the
 * loader dies of SIGBUS where a file ends before what its headers say, and runs constructors before
 * anybody can ask for a symbol.
 */
#ifndef HOST_CORE_ELF_FILE_H
#define HOST_CORE_ELF_FILE_H

#include <stdbool.h>

#include "base/error.h"

struct elf_facts {
    bool exports;     /* the symbol is defined, as a function */
    bool uses_origin; /* it finds libraries of its own beside itself ($ORIGIN in its search path) */
};

/**
 * Check that it is a whole shared object of this machine, and look for a symbol the way the loader
 * does.
 * @param fd  of a regular file, its offset is left alone
 * @return 0; -1 with *reterr set
 */
int elf_file_check(int fd, const char *symbol, struct elf_facts *ret, struct error *reterr);

#endif
