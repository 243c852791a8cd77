"""Texts in templates: `text("cases.…")` and `label("cases.stage", code)`, and the programme's facts."""

from flask import Flask

from crm import texts
from crm.config import Programme
from crm.feature import Feature
from crm.texts import facts, published

feature = Feature(name="texts")


def init_app(app: Flask) -> None:
    """Load every text at start, so that a missing one is a refusal to start and not a broken page."""
    texts.everything()
    published.init_app(app)
    app.extensions["calendar"] = facts.calendar
    app.jinja_env.globals.update(text=texts.text, choices=texts.choices, words=texts.words)
    app.jinja_env.globals["label"] = texts.label
    app.jinja_env.globals["told"] = texts.told

    @app.context_processor
    def _facts() -> dict[str, Programme]:
        return {"programme": facts.programme()}
