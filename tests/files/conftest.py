"""The product with documents asked for."""

import pytest

from crm.app import create_app
from crm.db import db
from tests.conftest import filled_in, settings_for


@pytest.fixture
def app(database_url, tmp_path):
    filled_in(tmp_path)
    with (tmp_path / "programme.toml").open("a") as facts:
        facts.write("\nasks_files = true\n")
    app = create_app(settings_for(tmp_path, database_url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
