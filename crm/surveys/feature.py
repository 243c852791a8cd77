"""Plugs the survey of closed files into the product."""

from crm.cases.merging import rows_of
from crm.feature import Feature
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.surveys import services
from crm.surveys.models import Survey
from crm.surveys.views import bp
from crm.timeline.sentences import Sentence

feature = Feature(
    name="surveys",
    blueprints=(bp,),
    jobs=(Job("surveys", services.ask_and_remind, every=600),),
    merge=(rows_of(Survey),),
    event_sentences=(
        Sentence("survey.asked", "surveys.event.asked", "outgoing", frozenset({"months"})),
        Sentence(
            "survey.answered",
            "surveys.event.answered",
            "incoming",
            frozenset({"months", "going", "people"}),
            frozenset({"note"}),
            labels={"going": "surveys.going"},
            body="note",
        ),
    ),
    messages=(
        MessageKind("surveys.asked", "surveys.mail.asked", still_true=services.still_true, way_out=services.way_out),
        MessageKind(
            "surveys.reminder", "surveys.mail.reminder", still_true=services.still_true, way_out=services.way_out
        ),
    ),
)
