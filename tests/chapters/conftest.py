"""What tests of chapters share."""

import pytest


@pytest.fixture(scope="module")
def patch():
    """Patches that last as long as a module's studies."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
