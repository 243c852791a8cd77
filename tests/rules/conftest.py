"""The product without a database, and its sources: for tests that read rather than run."""

import pytest

from crm.app import create_app
from tests.conftest import settings_for


@pytest.fixture(scope="session")
def product(tmp_path_factory):
    """The assembled product; nothing here touches its database."""
    folder = tmp_path_factory.mktemp("product")
    return create_app(settings_for(folder, f"sqlite:///{folder / 'none.sqlite'}"))
