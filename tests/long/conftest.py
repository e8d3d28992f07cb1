# SPDX-License-Identifier: Apache-2.0
"""A pytest root of its own: SPOE_TEST_PLUGIN_DIR is the folder with otel.so."""
