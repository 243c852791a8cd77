"""Plugs the finding of files that look alike, and what was decided of them."""

from crm.duplicates import services, views
from crm.feature import Feature, Panel
from crm.jobs import Job
from crm.timeline.sentences import Sentence

_OTHER, _REFERENCE = frozenset({"other"}), frozenset({"reference"})

feature = Feature(
    name="duplicates",
    blueprints=(views.bp,),
    panels=(Panel("facts", "duplicates/panel.html", views.load, rows=views.rows, shown=views.shown),),
    jobs=(Job("match", services.match, every=30), Job("merges", services.make_final, every=3600)),
    event_sentences=(
        *(
            Sentence(f"duplicate.{verdict}", f"duplicates.event.{verdict}", "internal", _OTHER, _REFERENCE)
            for verdict in ("same_person", "same_team", "related", "different", "reopened")
        ),
        Sentence("case.merged", "duplicates.event.merged", "move", _OTHER, _REFERENCE),
        Sentence("case.unmerged", "duplicates.event.unmerged", "move", _OTHER, _REFERENCE),
    ),
    case_moved=(services.moved,),
    case_guards=(services.guard,),
)
