"""Mail leaves through a real server here, not into files."""

import pytest
from flask import current_app
from sqlalchemy import select

from crm.app import create_app
from crm.db import db
from crm.jobs import Job, run_job
from crm.outbox import threads
from crm.outbox.deliver import send_due
from crm.outbox.models import Message
from crm.outbox.services import queue
from tests.conftest import settings_for
from tests.support.server import Product
from tests.support.smtp import smtp  # noqa: F401 - a fixture


@pytest.fixture
def app(database_url, tmp_path, smtp):  # noqa: F811
    app = create_app(settings_for(tmp_path, database_url, CRM_SMTP_URL=smtp.url))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def product(database_url, tmp_path, app):
    """The product's commands as processes of their own, on the database of this test."""
    product = Product(database_url, tmp_path)
    yield product
    product.stop()


@pytest.fixture
def round_of_sending(session):
    """One round of the worker's sending job, heartbeat included."""

    def go() -> int:
        session.commit()
        done = run_job(current_app, Job("send", send_due))
        session.expire_all()
        return done

    return go


@pytest.fixture
def owed(session):
    """`owed(n)` queues n messages, each to a person of its own."""

    def go(count):
        for number in range(count):
            queue(
                "intake.received",
                dedupe_key=f"test:{number}",
                to=(f"person{number}@exemple.ca", "Nadia Benali"),
                language="fr",
                values={"name": "Nadia", "reference": "PCC-2B3C-4D5F", "date": "demain"},
            )
        session.commit()
        return list(session.scalars(select(Message).order_by(Message.due_at, Message.id)))  # as they are taken

    return go


def message_id(message) -> str:
    return threads.message_id(message.id, message.kind, "127.0.0.1")
