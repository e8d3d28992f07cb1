# SPDX-License-Identifier: Apache-2.0
"""What the tests of the packages share."""

import os

import pytest


@pytest.fixture(scope="module", params=os.environ.get("SPOE_DEB_SUITES", "bookworm trixie").split())
def suite(request):
    """A release of Debian. SPOE_DEB_SUITES="bookworm" tries one alone."""
    return request.param
