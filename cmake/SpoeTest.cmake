# SPDX-License-Identifier: Apache-2.0
# spoe_add_unit_test(NAME SOURCES ... LIBS ...): one Criterion program, one ctest, label "unit".
# -j1: ctest runs programs side by side already, and with more Criterion 2.4 itself leaks, which LSan
# reports at the end of a program now and then.
function(spoe_add_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    set_target_properties(${name} PROPERTIES C_EXTENSIONS ON)
    target_link_libraries(${name} PRIVATE ${ARG_LIBS} spoe_common PkgConfig::CRITERION)
    add_test(NAME ${name} COMMAND ${name} --short-filename -j1)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 300
        ENVIRONMENT "ASAN_OPTIONS=abort_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()
