"""Plugs the public pages, the destruction of drafts, and what the history says of requests."""

from crm.feature import Feature, MergePart, Panel
from crm.intake import desk, drafts, services
from crm.intake.panel import load
from crm.intake.views import bp
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.timeline.sentences import Sentence

feature = Feature(
    name="intake",
    blueprints=(bp, desk.bp),
    panels=(Panel("facts", "intake/panel.html", load),),
    jobs=(
        Job("drafts", drafts.destroy_old, every=600),
        Job("quarantine", desk.tell_of_quarantine, every=300),
    ),
    event_sentences=(
        Sentence("request.acknowledged", "intake.event.acknowledged", "outgoing", frozenset({"message"})),
        Sentence("request.not_acknowledged", "intake.event.not_acknowledged", "failed", frozenset({"message"})),
        Sentence("request.released", "intake.event.released", "internal"),
    ),
    merge=(MergePart("arrangements", services.move_arrangements, services.return_arrangements),),
    case_moved=(services.moved,),
    messages=(
        MessageKind("intake.received", "intake.mail.received", on_final=services.note_acknowledged),
        MessageKind("intake.resume", "intake.mail.resume", still_true=drafts.still_there),
        MessageKind("intake.quarantine", "intake.mail.quarantine", still_true=desk.still_waiting),
    ),
)
