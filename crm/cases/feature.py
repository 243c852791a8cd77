"""Plugs files into the product."""

from crm.cases import (
    board_views,
    documents,
    founders,
    merging,
    progress,
    queue_views,
    samples,
    searching,
    services,
    settling,
    turns,
)
from crm.cases.mail import bp as mail_bp
from crm.cases.saved_views import bp as views_bp
from crm.cases.search_views import bp as search_bp
from crm.cases.views import bp
from crm.feature import Feature, Panel
from crm.jobs import Job
from crm.timeline.sentences import Sentence

_STAGE = {"from": "cases.stage", "to": "cases.stage", "closing_reason": "cases.closing_reason"}
_EXCHANGES = tuple(
    Sentence(
        kind=f"exchange.{kind}_{result}",
        text=f"cases.event.{kind}_{result}",
        tone="contact",
        codes=frozenset({"minutes", "direction"}),
        formats={"minutes": "minutes"},
    )
    for kind in ("call", "mail", "meeting")
    for result in ("two_way", "attempt")
)

settling.listen()
queue_views.join(bp)
board_views.join(bp)

feature = Feature(
    name="cases",
    blueprints=(bp, mail_bp, search_bp, views_bp, documents.bp, founders.bp, progress.bp),
    panels=(
        Panel("top", "cases/turn_panel.html", rows=turns.spells, shown=turns.shown),
        Panel("facts", "cases/founders_panel.html", rows=founders.rows, shown=founders.shown),
        Panel("facts", "cases/documents_panel.html", rows=documents.rows, shown=documents.shown),
    ),
    search_text=searching.SEARCHED,
    samples=(samples.of_newest,),
    jobs=(Job("turns", settling.settle_lapsed, every=60),),
    case_guards=(services.guard,),
    merge=merging.PARTS,
    personal_data=(founders.forget_all, documents.forget_all, searching.forget_all),
    event_sentences=(
        Sentence("case.opened", "cases.event.opened", "incoming", codes=frozenset({"source"})),
        Sentence("case.taken", "cases.event.owner_taken", "move"),
        Sentence(
            "case.assigned",
            "cases.event.owner_assigned",
            "move",
            codes=frozenset({"to"}),
            detail=frozenset({"to_name"}),
        ),
        Sentence(
            "case.given",
            "cases.event.owner_given",
            "move",
            codes=frozenset({"to"}),
            detail=frozenset({"to_name"}),
        ),
        Sentence("note.added", "cases.event.note", "internal"),
        *_EXCHANGES,
        Sentence("case.assessed", "cases.event.assessed", "internal", detail=frozenset({"changes"}), body="changes"),
        Sentence(
            "need.settled",
            "cases.event.need_settled",
            "internal",
            codes=frozenset({"need", "state", "was"}),
            labels={"need": "cases.need", "state": "cases.need_state", "was": "cases.need_state"},
        ),
        Sentence(
            "milestone.set",
            "cases.event.milestone",
            "internal",
            codes=frozenset({"what"}),
            detail=frozenset({"change"}),
            labels={"what": "cases.milestone"},
            body="change",
        ),
        Sentence(
            "case.moved",
            "cases.event.moved",
            "move",
            codes=frozenset({"from", "to"}),
            detail=frozenset({"reason"}),
            labels=_STAGE,
            body="reason",
        ),
        Sentence(
            "case.move_forced",
            "cases.event.moved_forced",
            "move",
            codes=frozenset({"from", "to"}),
            detail=frozenset({"reason"}),
            labels=_STAGE,
            body="reason",
        ),
        Sentence(
            "case.closed",
            "cases.event.closed",
            "move",
            codes=frozenset({"from", "closing_reason", "person_told"}),
            detail=frozenset({"reason"}),
            labels=_STAGE,
            body="reason",
        ),
        *(
            Sentence(
                f"document.{what}",
                f"cases.event.document_{what}",
                tone,
                codes=frozenset({"document"}),
                detail=frozenset({"name"}) if what != "destroyed" else frozenset(),
            )
            for what, tone in (("received", "incoming"), ("added", "internal"), ("destroyed", "internal"))
        ),
        Sentence("founder.named", "cases.event.founder_named", "internal", detail=frozenset({"name"})),
        Sentence("founder.changed", "cases.event.founder_changed", "internal", detail=frozenset({"name"})),
        Sentence("founder.forgotten", "cases.event.founder_forgotten", "internal"),
        Sentence("case.restricted", "cases.event.restricted", "move"),
        Sentence("case.unrestricted", "cases.event.unrestricted", "move"),
    ),
)
