"""Plugs imports into the product."""

from crm.feature import Feature
from crm.imports import rounds, services
from crm.imports.views import bp
from crm.imports.writing import NOTED, OPENED
from crm.jobs import Job
from crm.timeline.sentences import Sentence

feature = Feature(
    name="imports",
    blueprints=(bp,),
    jobs=(Job("imports", rounds.run_waiting, every=15), Job("forget_imports", services.forget_old, every=3600)),
    event_sentences=(
        Sentence(OPENED, "imports.event.opened", "incoming", codes=frozenset({"import", "line", "source"})),
        Sentence(NOTED, "imports.event.note", "internal"),
    ),
)
