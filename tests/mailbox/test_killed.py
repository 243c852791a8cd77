"""A process killed while it reads the mailbox: each e-mail is received once, with its files, whatever it was killed at."""

import pytest
from sqlalchemy import func, select

from crm.cases import services as cases
from crm.cases.vocabulary import Stage
from crm.files import services as files
from crm.mailbox.models import MailboxPlace, ReceivedMail, State
from crm.outbox.models import Message
from crm.portal.conversation import write_to_person
from crm.reminders.models import FollowUp
from crm.timeline.models import Event
from tests.mailbox.conftest import BOX, answer_to, report_on, written
from tests.support.killing import lines_of
from tests.support.papers import pdf_with_stream

ANSWERS = 6
# The worker's job in a process of its own: at each write in turn, and at each commit and the moment after it, a copy of it is killed as `kill -9`
# does. The next goes on from what the database holds then, which is told: how far the mailbox was read, what was received, and its files.
READ_AND_KILLED = """
from crm.app import create_app
from crm.db import writing
from crm.mailbox.reading import read_mailbox
from tests.support.killing import kill_at, killed_at_each_write, rows_told

app = create_app()
HELD = (
    "SELECT (SELECT next_uid FROM mailbox_place), (SELECT count(*) FROM received_mail), "
    "(SELECT count(*) FROM event WHERE kind = 'person.mailed'), (SELECT count(*) FROM received_mail WHERE state = 'filed'), "
    "(SELECT count(*) FROM received_mail WHERE state = 'filed' AND NOT attachments_due), (SELECT count(*) FROM stored_file)"
)


def read(at):
    with app.app_context(), writing():
        kill_at(at)
        return read_mailbox()


killed_at_each_write(read, lambda: rows_told(app, HELD)[0])
"""


@pytest.fixture
def delivered(make, people, session, box):
    """Answers of a person, each with a file, then somebody unknown, then a report; gives the file and the message that came back."""
    case = make.case(owner=people.adviser)
    cases.advance(case, Stage.CONTACT, people.adviser)
    session.flush()
    write_to_person(case, "Mardi vous irait?", "clé", people.adviser)
    (mail,) = box.left("portal.message")
    for number in range(ANSWERS):
        answer = answer_to(mail, f"Réponse {number}")
        answer.add_attachment(
            pdf_with_stream(f"% {number}".encode()),
            maintype="application",
            subtype="pdf",
            filename=f"Plan {number}.pdf",
        )
        box.put(answer)
    box.put(written("inconnu@exemple.ca", text="Une question"))
    box.put(report_on(mail))
    return case, mail


def test_killed_while_it_reads_the_mailbox_each_email_is_received_once(
    delivered, database_url, tmp_path, session, dovecot
):
    case, mail = delivered
    first = session.get_one(MailboxPlace, 1).next_uid
    session.commit()  # on SQLite an open transaction of this test would hold the other process up
    told = {"CRM_IMAP_URL": dovecot.url(), "CRM_IMAP_ADDRESS": BOX, "CRM_MAIL_FROM": "passerelle@exemple.org"}
    lines = lines_of(READ_AND_KILLED, database_url, tmp_path, **told)
    assert lines[-1][0] == 0, "the last copy found nothing to read and nothing to keep"
    assert [how for how, _ in lines[:-1]] == ["killed"] * (len(lines) - 1)
    for _, (place, received, answered, filed, kept, documents) in lines:
        assert place - first - received in {0, 1}, (
            "an e-mail that somebody wrote was passed and not received, or the other way round"
        )
        assert answered == filed
        assert documents == kept
    stopped = [tuple(found) for _, found in lines]
    assert len({found[0] for found in stopped}) > ANSWERS / 2, "it was killed between too few e-mails"
    assert len({found[-1] for found in stopped}) > ANSWERS / 2, "it was killed between too few files"

    session.expire_all()
    assert session.scalar(select(func.count(ReceivedMail.id)).where(ReceivedMail.state == State.TRAY)) == 1
    assert sorted(one.name for one in files.of_case(case.id)) == [f"Plan {number}.pdf" for number in range(ANSWERS)]
    bodies = [one.detail.values["body"] for one in session.scalars(select(Event).where(Event.kind == "person.mailed"))]
    assert sorted(bodies) == [f"Réponse {number}" for number in range(ANSWERS)]
    number = int(str(mail["Message-ID"]).strip("<").partition(".")[0])
    assert session.get_one(Message, number).returned_at is not None
    assert session.scalar(select(func.count(FollowUp.id)).where(FollowUp.rule == "mail_returned")) == 1
