# SPDX-License-Identifier: Apache-2.0
# spoe_add_unit_test(NAME SOURCES ... LIBS ...): one Criterion program, one ctest, label "unit", and
# "criterion": they need nothing but themselves, so the packages' builds run them.
# -j1: ctest runs programs side by side already, and with more Criterion 2.4 itself leaks, which LSan
# reports at the end of a program now and then.
function(spoe_add_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    set_target_properties(${name} PROPERTIES C_EXTENSIONS ON)
    target_link_libraries(${name} PRIVATE ${ARG_LIBS} spoe_common PkgConfig::CRITERION)
    add_test(NAME ${name} COMMAND ${name} --short-filename -j1)
    set_tests_properties(${name} PROPERTIES LABELS "unit;criterion" TIMEOUT 300
        ENVIRONMENT "ASAN_OPTIONS=abort_on_error=1;UBSAN_OPTIONS=print_stacktrace=1")
endfunction()

# spoe_add_pytest(NAME LABELS label... FILE file [AT_ONCE n] [ENVIRONMENT VAR=value ...]): one file of
# pytest, one ctest. Debian's own Python: the packages that the tests need are installed for it. With
# AT_ONCE so many of its tests run at a time: for those that mostly wait.
function(spoe_add_pytest name)
    cmake_parse_arguments(ARG "" "FILE;TIMEOUT;AT_ONCE" "LABELS;ENVIRONMENT" ${ARGN})
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 900)
    endif()
    set(at_once "")
    if(ARG_AT_ONCE)
        set(at_once -n ${ARG_AT_ONCE})
    endif()
    add_test(NAME ${name} COMMAND /usr/bin/python3 -B -m pytest -v -p no:cacheprovider
        -o faulthandler_timeout=300 ${at_once}
        --rootdir "${PROJECT_SOURCE_DIR}/tests" "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FILE}")
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "PYTHONUNBUFFERED=1;PYTHONPATH=${PROJECT_SOURCE_DIR}/tests;SPOE_TEST_HOST=${SPOE_BIN_DIR}/spoe-host;SPOE_TEST_SOURCE_DIR=${PROJECT_SOURCE_DIR};SPOE_TEST_BUILD_DIR=${CMAKE_BINARY_DIR};ASAN_OPTIONS=abort_on_error=1;LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp print_suppressions=0;UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp exitcode=66 report_thread_leaks=0;${ARG_ENVIRONMENT}")
endfunction()
