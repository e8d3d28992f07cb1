/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this binary was built from: target host_build_info, written at build time by
 * cmake/BuildInfo.cmake. NUL-terminated, never empty; the commit is "unknown" where there was
 * neither git nor -DSPOE_GIT_COMMIT, and ends in "-dirty" when the tree had changes of its own.
 */
#ifndef HOST_BASE_BUILD_INFO_H
#define HOST_BASE_BUILD_INFO_H

extern const char build_version[]; /* "0.1.0" */
extern const char build_commit[];  /* "14d65981a2b3" */
extern const char build_time[];    /* "2026-11-24T22:11:24Z", or what -DSPOE_BUILD_TIME said */

#endif
