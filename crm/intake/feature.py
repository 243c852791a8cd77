"""Plugs the public pages, the destruction of drafts, and what the history says of requests."""

from crm.feature import Feature, MailPart, MergePart, Panel, TodayPart
from crm.intake import annex, brief, desk, documents, drafts, introductions, promise, services
from crm.intake.introduction_views import bp as introductions_bp
from crm.intake.panel import load, rows, shown
from crm.intake.views import bp
from crm.jobs import Job
from crm.outbox.kinds import MessageKind
from crm.timeline.sentences import Sentence

feature = Feature(
    name="intake",
    blueprints=(bp, documents.bp, introductions_bp, desk.bp, brief.bp),
    annex=(annex.lines,),
    panels=(Panel("facts", "intake/panel.html", load, rows=rows, shown=shown),),
    jobs=(
        Job("drafts", drafts.destroy_old, every=600),
        Job("quarantine", desk.tell_of_quarantine, every=300),
        Job("introductions", introductions.forget_unanswered, every=3600),
    ),
    event_sentences=(
        Sentence("request.acknowledged", "intake.event.acknowledged", "outgoing", frozenset({"message"})),
        Sentence("request.not_acknowledged", "intake.event.not_acknowledged", "failed", frozenset({"message"})),
        Sentence("introduction.yes", "intake.event.introduction_yes", "incoming"),
        Sentence("introduction.no", "intake.event.introduction_no", "incoming"),
        Sentence("introduction.destroyed", "intake.event.introduction_destroyed", "internal"),
        Sentence(
            "case.corrected",
            "intake.event.corrected",
            "internal",
            codes=frozenset({"question"}),
            detail=frozenset({"change"}),
            labels={"question": "intake.answer"},
            body="change",
        ),
        Sentence("request.released", "intake.event.released", "internal"),
    ),
    merge=(MergePart("arrangements", services.move_arrangements, services.return_arrangements),),
    case_moved=(services.moved,),
    today=(TodayPart("requests", "intake/today.html", desk.load_today),),
    digest=(
        MailPart(services.MAIL, at_once=False, in_digest=True, sections=desk.digest),
        MailPart(promise.MAIL, in_digest=True, sections=promise.sections),
    ),
    messages=(
        MessageKind("intake.received", "intake.mail.received", on_final=services.note_acknowledged),
        MessageKind("intake.told", "intake.mail.told", still_true=services.still_nobodys),
        MessageKind("intake.introduced", "intake.mail.introduced", still_true=introductions.still_asked),
        MessageKind("intake.resume", "intake.mail.resume", still_true=drafts.still_there),
        MessageKind("intake.quarantine", "intake.mail.quarantine", still_true=desk.still_waiting),
    ),
)
