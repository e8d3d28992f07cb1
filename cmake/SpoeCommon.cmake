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
if(NOT SPOE_SANITIZE)
    target_compile_options(spoe_common INTERFACE
        $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
endif()
target_link_options(spoe_common INTERFACE LINKER:--as-needed LINKER:-z,relro LINKER:-z,now)
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
