"""Plugs the summaries into the product."""

from crm.feature import Feature
from crm.summaries.views import bp
from crm.timeline.sentences import Sentence

feature = Feature(
    name="summaries",
    blueprints=(bp,),
    event_sentences=(Sentence("summary.published", "summaries.event.published", "internal", frozenset({"period"})),),
)
