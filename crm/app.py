"""Assembling the product. FEATURES is its table of contents."""

from collections.abc import Callable
from typing import Any

from flask import Flask, has_request_context, request
from werkzeug.routing import IntegerConverter, Map

from crm import access, config, db, errors, i18n, security
from crm.absences.feature import feature as absences
from crm.accounts import feature as accounts
from crm.activities.feature import feature as activities
from crm.bulk.feature import feature as bulk
from crm.cases.feature import feature as cases
from crm.config import Settings
from crm.content.feature import feature as content
from crm.desk.feature import feature as desk
from crm.directory.feature import feature as directory
from crm.duplicates.feature import feature as duplicates
from crm.exchange.feature import feature as exchange
from crm.exports.feature import feature as exports
from crm.feature import Feature, plug
from crm.files.feature import feature as files
from crm.files.kinds import ACCEPT, LARGEST, NAMES
from crm.financing.feature import feature as financing
from crm.imports.feature import feature as imports
from crm.intake.feature import feature as intake
from crm.mailbox.feature import feature as mailbox
from crm.operations.feature import feature as operations
from crm.outbox.feature import feature as outbox
from crm.permissions.feature import feature as permissions
from crm.portal.feature import feature as portal
from crm.privacy.feature import feature as privacy
from crm.referrals.feature import feature as referrals
from crm.reminders.feature import feature as reminders
from crm.static_files import address_of
from crm.summaries.feature import feature as summaries
from crm.surveys.feature import feature as surveys
from crm.tags.feature import feature as tags
from crm.talks.feature import feature as talks
from crm.texts import feature as texts

FEATURES: tuple[Feature, ...] = (
    texts.feature,
    outbox,
    files,
    accounts.feature,
    absences,
    activities,
    content,
    cases,
    bulk,
    tags,
    exports,
    permissions,
    reminders,
    talks,
    referrals,
    financing,
    directory,
    duplicates,
    imports,
    exchange,
    privacy,
    intake,
    summaries,
    portal,
    surveys,
    mailbox,
    desk,
    operations,
)


class RowNumber(IntegerConverter):
    """A row's id in an address: no larger than a database can hold, so that a larger one is an ordinary 404."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**31 - 1)


def _addresses(app: Flask) -> Callable[..., str]:
    """`url_for` of templates. An address without parts is the same on every page, and a page asks for some twenty: those are kept."""
    kept: dict[tuple[str, str], str] = {}

    def url_for(endpoint: str, **parts: Any) -> str:
        if parts or not has_request_context() or endpoint.startswith("."):
            return app.url_for(endpoint, **parts)
        key = (request.script_root, endpoint)
        if key not in kept:
            kept[key] = app.url_for(endpoint)
        return kept[key]

    return url_for


def create_app(settings: Settings | None = None) -> Flask:
    """The product, ready to serve. Raises ConfigError, TextError or CatalogueMissingError rather than start crooked."""
    settings = settings or config.read()
    app = Flask("crm", static_url_path="/static")
    app.request_class = security.Request
    app.url_map.converters["int"] = RowNumber
    app.extensions["settings"] = settings
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["static"] = address_of(app)
    app.jinja_env.globals["url_for"] = _addresses(app)
    app.jinja_env.globals["mail_to_files"] = settings.smtp is None
    app.jinja_env.globals |= {
        "FILES_ACCEPTED": ACCEPT,
        "LARGEST_FILE": LARGEST,
        "FILE_TYPES": ", ".join(NAMES.values()),
    }
    plug(app, FEATURES)
    i18n.init_app(app, settings)
    app.before_request(security.receive_whole)
    accounts.init_app(app)  # before security: a refusal is told in the language of the account
    security.init_app(app, settings)
    db.init_app(app, settings)
    errors.init_app(app)
    texts.init_app(app)
    for feature in FEATURES:
        for blueprint in feature.blueprints:
            app.register_blueprint(blueprint)
    app.before_request(access.check)
    access.refuse_views_without_access(app)
    return app
