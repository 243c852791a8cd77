"""Plugs the mailbox that answers come to into the product. Off until one is set."""

from crm.cases.merging import rows_of
from crm.feature import Feature, MailPart, TodayPart
from crm.jobs import Job
from crm.mailbox import queries, services
from crm.mailbox.models import ReceivedMail
from crm.mailbox.views import bp
from crm.outbox.kinds import MessageKind
from crm.portal.services import may_still_read
from crm.timeline.sentences import Sentence


def _read_mailbox() -> int:
    from crm.mailbox.reading import read_mailbox  # noqa: PLC0415 - the web, which declares the job, speaks no IMAP

    return read_mailbox()


_MAIL = frozenset({"mail"})

feature = Feature(
    name="mailbox",
    blueprints=(bp,),
    jobs=(Job("mailbox", _read_mailbox, every=60),),
    today=(TodayPart("mailbox", "mailbox/today.html", queries.of_today),),
    digest=(MailPart("mailbox", in_digest=True, sections=queries.digest),),
    merge=(rows_of(ReceivedMail), services.SUGGESTIONS),
    personal_data=(services.forget_all,),
    event_sentences=(
        Sentence(
            "mail.received", "mailbox.event.received", "incoming", _MAIL, frozenset({"body", "from"}), body="body"
        ),
        Sentence("mail.left_out", "mailbox.event.left_out", "failed", _MAIL, frozenset({"body"}), body="body"),
    ),
    messages=(MessageKind("mailbox.received", "mailbox.mail.received", still_true=may_still_read),),
)
