# SPDX-License-Identifier: Apache-2.0
# gRPC's C core: target GrpcCore::grpc. Only libgrpc and libgpr, which bring the rest themselves;
# pkg-config would add dozens of libraries that we never call.
find_path(GrpcCore_INCLUDE_DIR grpc/grpc.h)
find_library(GrpcCore_grpc_LIBRARY grpc)
find_library(GrpcCore_gpr_LIBRARY gpr)
mark_as_advanced(GrpcCore_INCLUDE_DIR GrpcCore_grpc_LIBRARY GrpcCore_gpr_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(GrpcCore
    REQUIRED_VARS GrpcCore_grpc_LIBRARY GrpcCore_gpr_LIBRARY GrpcCore_INCLUDE_DIR)

if(GrpcCore_FOUND AND NOT TARGET GrpcCore::grpc)
    add_library(GrpcCore::gpr UNKNOWN IMPORTED)
    set_target_properties(GrpcCore::gpr PROPERTIES
        IMPORTED_LOCATION "${GrpcCore_gpr_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${GrpcCore_INCLUDE_DIR}")
    add_library(GrpcCore::grpc UNKNOWN IMPORTED)
    set_target_properties(GrpcCore::grpc PROPERTIES
        IMPORTED_LOCATION "${GrpcCore_grpc_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${GrpcCore_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES GrpcCore::gpr)
endif()
