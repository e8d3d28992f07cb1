# SPDX-License-Identifier: Apache-2.0
# spoe_add_plugin(NAME SOURCES...): a handler plugin, NAME.so, as the host wants one:
#   - a module without "lib" before its name, hidden visibility;
#   - exactly one global symbol, its entry (spoe-plugin.map), also if it links static libraries;
#   - no symbol left open (-z defs), since the host exports none;
#   - everything bound at load (-z now), so that a missing library is named at start;
#   - never unmapped (-z nodelete): a library's threads may outlive the plugin's stop.
# NAME is a target as any other: link libraries, set properties and install it as usual.

function(spoe_add_plugin name)
    set(map "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/spoe-plugin.map")
    add_library(${name} MODULE ${ARGN})
    target_link_libraries(${name} PRIVATE spoe::sdk)
    set_target_properties(${name} PROPERTIES
        PREFIX "" SUFFIX ".so" OUTPUT_NAME "${name}"
        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    target_link_options(${name} PRIVATE
        "LINKER:--version-script=${map}"
        LINKER:--exclude-libs,ALL LINKER:-z,now LINKER:-z,nodelete)
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${map}")
    # Clang links the sanitizers' runtime into executables only; its symbols stay open here.
    set(flags "${SPOE_SANITIZE} ${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS} ${CMAKE_MODULE_LINKER_FLAGS}")
    if(NOT ("${CMAKE_C_COMPILER_ID}${CMAKE_CXX_COMPILER_ID}" MATCHES "Clang"
            AND (SPOE_SANITIZE OR flags MATCHES "-fsanitize")))
        target_link_options(${name} PRIVATE LINKER:-z,defs)
    endif()
endfunction()

# spoe_install_plugin(NAME): where a host looks for it: below the prefix that is given, by
# CMAKE_INSTALL_PREFIX or `cmake --install --prefix`, or else below the SDK's own.
function(spoe_install_plugin name)
    if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
        set_property(CACHE CMAKE_INSTALL_PREFIX PROPERTY VALUE "${spoe-sdk_PREFIX}")
    endif()
    install(TARGETS ${name} LIBRARY DESTINATION "${spoe-sdk_PLUGIN_SUBDIR}")
endfunction()
