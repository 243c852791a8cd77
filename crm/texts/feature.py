"""Texts in templates: `text("cases.…")` and `label("cases.stage", code)`."""

from flask import Flask

from crm import texts
from crm.feature import Feature

feature = Feature(name="texts")


def init_app(app: Flask) -> None:
    """Load every text at start, so that a missing one is a refusal to start and not a broken page."""
    texts.everything()
    app.jinja_env.globals.update(text=texts.text, choices=texts.choices, words=texts.words)
    app.jinja_env.globals["label"] = texts.label
    app.jinja_env.globals["told"] = texts.told
