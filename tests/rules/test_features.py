"""Who plugs what where. `docs/features.md` is printed from the product, and refreshed by

UPDATE=1 .venv/bin/python -m pytest tests/rules/test_features.py -k printed
"""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Blueprint

from crm.app import FEATURES
from crm.bulk.actions import BulkAction
from crm.cases.filters import Facet
from crm.cases.listing import ListColumn
from crm.config import ROOT
from crm.feature import BodyPart, Feature, MailPart, MergePart, Panel, TodayPart
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.search.services import Searched
from crm.timeline.sentences import Sentence
from tests.rules.sources import calls, modules
from tests.support.printed import kept

OFFERS = [field.name for field in fields(Feature) if field.name != "name"]
# Who asks for what features offer: the one consumer of each field. Blueprints are registered by create_app.
ASKED_BY = {
    "blueprints": "app",
    "panels": "cases",
    "jobs": "jobs",
    "event_sentences": "timeline",
    "samples": "content",
    "case_guards": "cases",
    "case_moved": "cases",
    "merge": "duplicates",
    "handoff": "cases",
    "case_holds": "cases",
    "case_turns": "cases",
    "today": "desk",
    "digest": "accounts",
    "case_facets": "cases",
    "case_columns": "cases",
    "bulk": "bulk",
    "body_parts": "referrals",
    "annex": "summaries",
    "search_text": "search",
    "messages": "outbox",
    "personal_data": "intake",
}


def said(offer: object) -> str:
    """One thing a feature offers, as a reader finds it in the sources."""
    match offer:
        case Blueprint():
            return f"`{offer.name}` at `{offer.url_prefix or '/'}`"
        case Panel():
            return f"`{offer.template}` ({offer.place})"
        case Job():
            return f"`{offer.name}` (every {offer.every} s)"
        case Sentence():
            return f"`{offer.kind}`"
        case MessageKind():
            return f"`{offer.kind}`"
        case MailPart():
            return f"`{offer.kind}`"
        case TodayPart() | BodyPart():
            return f"`{offer.template}`"
        case Facet() | ListColumn():
            return f"`{offer.name}`"
        case Searched():
            return f"`{offer.kind or 'what a file is'}`"
        case BulkAction():
            return f"`{offer.name}`"
        case MergePart():
            return f"`{offer.name}`"
    return f"`{offer.__module__.removeprefix('crm.')}.{offer.__qualname__}`"


def printed() -> str:
    """The document: each feature in the order of FEATURES, each field it fills, and who asks for it."""
    lines = [
        "# Features: who plugs what where",
        "",
        "Printed by `tests/rules/test_features.py`; do not edit. Features stand in the order in which they are asked.",
    ]
    for feature in FEATURES:
        lines += ["", f"## {feature.name}", ""]
        offered = [(name, getattr(feature, name)) for name in OFFERS if getattr(feature, name)]
        lines += [
            f"- {name} (asked by {ASKED_BY[name]}): {', '.join(said(one) for one in all_)}" for name, all_ in offered
        ]
        if not offered:
            lines.append("- nothing")
    return "\n".join(lines) + "\n"


def test_the_document_says_what_the_product_plugs_as_printed_today():
    kept("docs/features.md", printed())


def test_every_feature_has_a_name_of_its_own():
    names = [feature.name for feature in FEATURES]
    assert len(names) == len(set(names))
    assert all((ROOT / "crm" / name).is_dir() for name in names)


def test_every_field_is_asked_for_by_its_one_consumer():
    asked = {}
    for file, tree in modules().items():
        for call in calls(tree, "plugged"):
            part = file.relative_to(ROOT / "crm").parts[0].removesuffix(".py")
            asked.setdefault(call.args[0].value, set()).add(part)
    assert asked == {name: {who} for name, who in ASKED_BY.items() if name != "blueprints"}
    assert set(ASKED_BY) == set(OFFERS)


def test_every_field_is_offered_by_somebody():
    assert not [name for name in OFFERS if not any(getattr(feature, name) for feature in FEATURES)]


@pytest.mark.parametrize("field", ["event_sentences", "messages"])
def test_no_two_features_declare_the_same_kind(field):
    kinds = [one.kind for feature in FEATURES for one in getattr(feature, field)]
    assert len(kinds) == len(set(kinds))


def test_no_two_jobs_have_the_same_name():
    names = [job.name for feature in FEATURES for job in feature.jobs]
    assert len(names) == len(set(names))


def test_every_panel_has_its_template_and_a_place():
    panels = [panel for feature in FEATURES for panel in feature.panels]
    assert all((ROOT / "crm" / "templates" / panel.template).exists() for panel in panels)
    assert {panel.place for panel in panels} <= {"top", "facts", "side"}


def test_what_is_plugged_keeps_the_order_of_the_features(product):
    assert product.extensions["features"] == {
        name: tuple(one for feature in FEATURES for one in getattr(feature, name)) for name in OFFERS
    }


def test_imports_only_point_down():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Imports only point down KEPT" in done.stdout
