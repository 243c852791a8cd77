"""How the worker and the mail are, as their rows say."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from crm import clock
from crm.db import counted, db
from crm.jobs import LATE_AFTER, Heartbeat, Job, all_jobs
from crm.outbox.models import IN_TROUBLE, WAITING, MailPause, Message
from crm.outbox.queries import pause

COUNTED = 10_000  # rows are counted up to this


@dataclass(frozen=True)
class JobState:
    """One job: how often it runs, how it went last, when it is due next. `late` when it missed three of its turns."""

    name: str
    every: timedelta
    host: str
    done: int
    finished_at: datetime | None
    failed_at: datetime | None
    error: str
    next_at: datetime | None
    late: bool

    @property
    def failing(self) -> bool:
        """Whether its last turn was a failure."""
        return self.failed_at is not None and (self.finished_at is None or self.failed_at > self.finished_at)


@dataclass(frozen=True)
class MailState:
    """What waits to leave, each counted to COUNTED; `oldest_due_at` is since when the first of what is due waits, `waits` how many seconds."""

    waiting: int
    in_trouble: int
    oldest_due_at: datetime | None
    waits: float
    pause: MailPause | None


def job_states() -> list[JobState]:
    now = clock.now()
    beats = {beat.job: beat for beat in db.session.scalars(select(Heartbeat))}
    return [_state(job, beats.get(job.name), now) for job in all_jobs()]


def _state(job: Job, beat: Heartbeat | None, now: datetime) -> JobState:
    every = timedelta(seconds=job.every)
    finished = beat.finished_at if beat else None
    last = max((at for at in (finished, beat.failed_at if beat else None) if at is not None), default=None)
    return JobState(
        name=job.name,
        every=every,
        host=beat.host if beat else "",
        done=beat.done if beat else 0,
        finished_at=finished,
        failed_at=beat.failed_at if beat else None,
        error=(beat.error or "") if beat else "",
        next_at=last + every if last else None,
        late=finished is None or now - finished > max(3 * every, LATE_AFTER),
    )


def mail_state() -> MailState:
    now = clock.now()
    due = WAITING, Message.due_at <= now
    waiting, trouble = db.session.execute(
        select(
            counted(select(Message.id).where(WAITING)),
            counted(select(Message.id).where(IN_TROUBLE)),
        ),
        {"at_most": COUNTED},
    ).one()
    oldest = db.session.scalar(select(func.min(Message.due_at)).where(*due))
    return MailState(
        waiting=waiting,
        in_trouble=trouble,
        oldest_due_at=oldest,
        waits=(now - oldest).total_seconds() if oldest else 0.0,
        pause=pause(),
    )
