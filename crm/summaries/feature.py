"""Plugs the summaries into the product."""

from crm.feature import BodyPart, Feature, MailPart, TodayPart
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.summaries import services, sessions, views
from crm.summaries.session_views import bp as sessions_bp
from crm.timeline.sentences import Sentence

feature = Feature(
    name="summaries",
    blueprints=(views.bp, sessions_bp),
    event_sentences=tuple(
        Sentence(f"summary.{what}", f"summaries.event.{what}", "internal", frozenset({"period"}))
        for what in (
            "drafted",
            "written",
            "taken_again",
            "proposed",
            "approved",
            "stale",
            "failed",
            "discarded",
            "published",
        )
    )
    + tuple(
        Sentence(f"session.{what}", f"summaries.event.session_{what}", "internal", frozenset({"period"}))
        for what in ("written", "asked", "changed", "decided", "seen_to", "opened_again", "taken_off")
    ),
    jobs=(
        Job("summaries", services.publish_approved, every=15),
        Job("summary_drafts", services.make_due, every=600),
        Job("summary_check", services.verify_all, every=86_400),
    ),
    messages=(MessageKind("summaries.published", "summaries.mail.published"),),
    body_parts=(BodyPart("summaries/body_part.html", views.of_body, place="list"),),
    today=(TodayPart("summaries", "summaries/today.html", rows=sessions.of_today, shown=sessions.shown_today),),
    digest=(MailPart("decisions", in_digest=True, sections=sessions.digest),),
)
