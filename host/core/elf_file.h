/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/core/elf_file.h - whether a shared object is whole. The loader maps what the headers say
 * and dies of SIGBUS where the file ends before it, as a plugin that was copied in part does.
 */
#ifndef HOST_CORE_ELF_FILE_H
#define HOST_CORE_ELF_FILE_H

/**
 * Look whether all segments that the loader would map are in the file. What is no ELF file of
 * this machine, or cannot be read, is left to the loader, which has its own words for it.
 * @return NULL: nothing against it; or what is wrong, static
 */
const char *elf_file_wrong(const char *path);

#endif
