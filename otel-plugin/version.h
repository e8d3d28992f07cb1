/* SPDX-License-Identifier: Apache-2.0 */
/* otel-plugin/version.h - the plugin's own version: of its descriptor and of the OTLP scope. */
#ifndef OTEL_VERSION_H
#define OTEL_VERSION_H

#define OTEL_PLUGIN_VERSION "0.1.0"

#endif
