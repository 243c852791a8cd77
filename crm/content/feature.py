"""Plugs the pages that coordinators write, and where they write them."""

from crm.content.views import bp
from crm.feature import Feature
from crm.outbox.kinds import MessageKind
from crm.timeline.sentences import Sentence

feature = Feature(
    name="content",
    messages=(MessageKind("content.test", "content.mail.test"),),
    blueprints=(bp,),
    event_sentences=(Sentence("text.published", "content.event.published", "internal", frozenset({"text_key"})),),
)
