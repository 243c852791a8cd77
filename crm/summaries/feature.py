"""Plugs the summaries into the product."""

from crm.feature import Feature, TodayPart
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.summaries import services
from crm.summaries.views import bp
from crm.timeline.sentences import Sentence

feature = Feature(
    name="summaries",
    blueprints=(bp,),
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
    ),
    jobs=(
        Job("summaries", services.publish_approved, every=15),
        Job("summary_drafts", services.make_due, every=600),
        Job("summary_check", services.verify_all, every=86_400),
    ),
    messages=(MessageKind("summaries.published", "summaries.mail.published"),),
    today=(TodayPart("summaries", "summaries/today.html", services.of_today),),
)
