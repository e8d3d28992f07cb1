# SPDX-License-Identifier: Apache-2.0
# A file's bytes as the initialiser of a C array: cmake -DFROM=FILE -DTO=FILE -P embed.cmake
# CMake alone, so that it is the same wherever it is built and for whatever machine.
file(READ "${FROM}" hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "((0x..,){20})" "\\1\n" bytes "${bytes}")
file(WRITE "${TO}" "${bytes}\n")
