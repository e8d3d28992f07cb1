# SPDX-License-Identifier: Apache-2.0
# Writes build_info.c with version, commit and build time. Run by `cmake -P` on every build (target
# build_info_source); the file is touched only when version or commit changed, so that an unchanged
# tree links nothing again: the time is that of the last change.
#   In: SOURCE_DIR OUTPUT VERSION; GIT_COMMIT and BUILD_TIME (may be empty) as the user gave them

set(commit "${GIT_COMMIT}")
# A tree unpacked inside someone else's repository must not borrow that one's commit.
if(NOT commit AND EXISTS "${SOURCE_DIR}/.git")
    find_program(GIT_PROGRAM git)
    if(GIT_PROGRAM)
        execute_process(COMMAND "${GIT_PROGRAM}" -C "${SOURCE_DIR}"
                describe --always --abbrev=12 --dirty --exclude=*
            OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
endif()
if(NOT commit)
    set(commit "unknown")
endif()

set(time "${BUILD_TIME}")
if(NOT time)
    string(TIMESTAMP time "%Y-%m-%dT%H:%M:%SZ" UTC)     # CMake takes SOURCE_DATE_EPOCH where it is set
endif()

foreach(value IN ITEMS "${VERSION}" "${commit}" "${time}")
    if(NOT value MATCHES "^[A-Za-z0-9._:+/~-]+( [A-Za-z0-9._:+/~-]+)*$")
        message(FATAL_ERROR "build info: '${value}' holds characters that do not belong there")
    endif()
endforeach()

set(head "/* SPDX-License-Identifier: Apache-2.0 */
/* Written by cmake/BuildInfo.cmake. */
#include \"base/build_info.h\"

const char build_version[] = \"${VERSION}\";
const char build_commit[] = \"${commit}\";
")
set(old "")
if(EXISTS "${OUTPUT}")
    file(READ "${OUTPUT}" old)
endif()
string(FIND "${old}" "${head}" same)
if(BUILD_TIME OR DEFINED ENV{SOURCE_DATE_EPOCH} OR NOT same EQUAL 0)
    set(new "${head}const char build_time[] = \"${time}\";\n")
    if(NOT new STREQUAL old)
        file(WRITE "${OUTPUT}" "${new}")
    endif()
endif()
