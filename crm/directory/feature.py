"""Plugs the directory into the product."""

from crm.directory.views import bp, of_case
from crm.feature import Feature
from crm.timeline.sentences import Sentence

feature = Feature(
    name="directory",
    blueprints=(bp, of_case),
    event_sentences=tuple(
        Sentence(f"directory.{what}", f"directory.event.{what}", codes=frozenset({"entry", "parts"}))
        for what in ("added", "changed", "verified", "terms", "joined")
    ),
)
