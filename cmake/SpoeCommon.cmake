# SPDX-License-Identifier: Apache-2.0
# What every target of this project shares: language level, warnings, sanitizers.

add_library(spoe_common INTERFACE)
target_compile_features(spoe_common INTERFACE c_std_17)
target_compile_definitions(spoe_common INTERFACE _GNU_SOURCE)
target_compile_options(spoe_common INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -fno-strict-aliasing -fstack-protector-strong
    -UNDEBUG        # asserts guard against errors of ours and stay on in what users run
    $<$<BOOL:${SPOE_WERROR}>:-Werror>)
target_link_options(spoe_common INTERFACE LINKER:--as-needed LINKER:-z,relro LINKER:-z,now)

# gcc 12.2 for arm64, Debian 12's, miscompiles at -O3 a sum of comparisons that it makes vectors of: the sign is lost
# (plugins/ip-reputation/table.c; its unit tests crash). 12.4, 13 and 14 do not.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 12.4
        AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    target_compile_options(spoe_common INTERFACE -fno-tree-slp-vectorize)
endif()

# Two builds of one commit give the same bytes wherever they are made: no path of the build in asserts and in what
# debuggers read. A debug build keeps them, so that its sources are found. The last one that fits counts.
add_library(spoe_paths INTERFACE)
set(paths "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=." "-ffile-prefix-map=${CMAKE_BINARY_DIR}=./build")
target_compile_options(spoe_paths INTERFACE "$<$<NOT:$<CONFIG:Debug>>:${paths}>")
target_link_options(spoe_paths INTERFACE "$<$<NOT:$<CONFIG:Debug>>:${paths}>")
target_link_libraries(spoe_common INTERFACE spoe_paths)

# What compiler and linker have against attackers; tests/install/test_binaries.py holds what is built
# against it. Level 3 of _FORTIFY_SOURCE is gcc 12's and clang's; it needs an optimised build.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckLinkerFlag)
check_c_compiler_flag(-fcf-protection SPOE_HAVE_CF_PROTECTION)
check_c_compiler_flag(-fstack-clash-protection SPOE_HAVE_STACK_CLASH_PROTECTION)
# Debian's start files keep to shadow stacks and are not marked, which would unmark all of it.
check_linker_flag(C LINKER:-z,shstk SPOE_HAVE_Z_SHSTK)
set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
check_c_source_compiles("
#include <string.h>
#if __USE_FORTIFY_LEVEL < 3
#error no level 3
#endif
int main(void) { return 0; }" SPOE_HAVE_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
if(SPOE_HAVE_CF_PROTECTION)
    target_compile_options(spoe_common INTERFACE -fcf-protection)
    if(SPOE_HAVE_Z_SHSTK)
        target_link_options(spoe_common INTERFACE LINKER:-z,shstk)
    endif()
endif()
if(SPOE_HAVE_STACK_CLASH_PROTECTION)
    target_compile_options(spoe_common INTERFACE -fstack-clash-protection)
endif()
if(NOT SPOE_SANITIZE)
    set(fortify "_FORTIFY_SOURCE=$<IF:$<BOOL:${SPOE_HAVE_FORTIFY_3}>,3,2>")
    target_compile_options(spoe_common INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D${fortify}>)
endif()
if(SPOE_SANITIZE)
    target_compile_options(spoe_common INTERFACE
        -fsanitize=${SPOE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(spoe_common INTERFACE -fsanitize=${SPOE_SANITIZE})
endif()

# A static, position-independent library of one layer: spoe_add_layer(NAME SOURCES... )
# Includes read "layer/file.h". Each layer is an include root of its own, a folder in the build tree
# that holds nothing but a link to the layer's sources; who links a layer sees its headers and those
# of the layers that it links PUBLIC. So an include of what lies above does not compile.
function(spoe_add_layer name)
    add_library(${name} STATIC ${ARGN})
    set_target_properties(${name} PROPERTIES
        POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden C_EXTENSIONS ON)
    target_link_libraries(${name} PUBLIC spoe_common spoe::sdk)
    spoe_layer_root(${name} PUBLIC)
endfunction()

# The current folder, as the include root of a target.
function(spoe_layer_root name scope)
    get_filename_component(folder "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    set(root "${CMAKE_BINARY_DIR}/roots/${name}")
    file(MAKE_DIRECTORY "${root}")
    file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${root}/${folder}" SYMBOLIC)
    target_include_directories(${name} ${scope} "${root}")
endfunction()
