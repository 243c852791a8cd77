"""Small jobs that the worker calls again and again. What is due is always computed from rows in the database.

APScheduler is a clock here and nothing more: with a time zone of its own it skips or doubles days when clocks
change, so it ticks in UTC and decides nothing.
"""

import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import FrameType
from typing import TypeVar

from flask import Flask
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from crm import clock
from crm.business_days import is_business_day
from crm.db import Base, count_for_the_planner, db, writing
from crm.feature import plugged

log = logging.getLogger(__name__)
T = TypeVar("T")
LATE_AFTER = timedelta(minutes=3)


@dataclass(frozen=True)
class Job:
    """`run` does one round in its own transactions and returns how many things it did; `every` is in seconds."""

    name: str
    run: Callable[[], int]
    every: int = 30


def working_day(hour: int) -> date | None:
    """Today, when it is a business day and this hour of Montréal has come; otherwise None: there is nothing to do yet."""
    now = clock.now()
    day = clock.local_date(now)
    return day if is_business_day(day) and clock.local(now).hour >= hour else None


def one_by_one(things: Iterable[T], do: Callable[[T], int], trouble: str) -> int:
    """Do each in a transaction of its own, so that one that fails does not hold the others; `trouble` is what the log then says of it. Returns how much was done."""
    done = 0
    for thing in things:
        try:
            done += do(thing)
            db.session.commit()
        except Exception:
            db.session.rollback()
            log.exception(trouble, thing)
    return done


class JobFailedError(Exception):
    """A round of a job failed; what was done of it was taken back."""


class Heartbeat(Base):
    """When a job last ran, and what went wrong last."""

    __tablename__ = "heartbeat"
    job: Mapped[str] = mapped_column(String(60), primary_key=True)
    host: Mapped[str] = mapped_column(String(120))
    finished_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(300))
    done: Mapped[int]


OWN = (Job("statistics", count_for_the_planner, every=86_400),)


def all_jobs() -> tuple[Job, ...]:
    """Every job of the product, in the order of FEATURES."""
    return (*OWN, *plugged("jobs"))


def run_job(app: Flask, job: Job, *, strict: bool = False) -> int:
    """One round of a job and its heartbeat. An exception is logged and recorded; the next round tries again.

    `strict` raises JobFailedError after that, for who asked for this one round.
    """
    with app.app_context(), writing():
        done, failure = 0, None
        try:
            done = job.run()
            db.session.commit()
        except Exception as error:
            db.session.rollback()
            log.exception("job %s failed", job.name)
            failure = f"{type(error).__name__}: {error}"[:300]
        beat(job.name, done, failure)
        if failure is not None and strict:
            raise JobFailedError(failure)
        return done


def beat(name: str, done: int, failure: str | None = None) -> None:
    """Note that a job ran, and how it went."""
    try:
        beat = db.session.get(Heartbeat, name)
        if beat is None:
            beat = Heartbeat(job=name, host="", done=0)
            db.session.add(beat)
        beat.host = f"{socket.gethostname()}:{os.getpid()}"[:120]
        beat.done = done
        if failure is None:
            beat.finished_at = clock.now()
        else:
            beat.failed_at, beat.error = clock.now(), failure
        db.session.commit()
    except Exception:  # noqa: BLE001 - two workers may insert the first beat together, or the database may be away
        db.session.rollback()
        log.warning("no heartbeat written for %s", name)


def worker_is_late() -> bool:
    """Whether no job finished lately: mail and reminders are not leaving."""
    last = db.session.scalar(select(Heartbeat.finished_at).order_by(Heartbeat.finished_at.desc().nulls_last()).limit(1))
    return last is None or clock.now() - last > LATE_AFTER


def work(app: Flask) -> None:
    """Run all jobs until told to stop (SIGTERM or SIGINT); the round under way is finished first.

    A signal is only noted: an exception raised by its handler lands wherever the main thread is, and APScheduler swallows what is raised while it hands a
    job over. The worker would never stop.
    """
    from apscheduler.events import EVENT_SCHEDULER_STARTED  # noqa: PLC0415
    from apscheduler.schedulers.blocking import BlockingScheduler  # noqa: PLC0415 - the web, which declares jobs, needs no clock

    scheduler = BlockingScheduler(timezone=UTC)

    told, begun = threading.Event(), threading.Event()
    scheduler.add_listener(lambda _event: begun.set(), EVENT_SCHEDULER_STARTED)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        told.set()

    def stop_when_told() -> None:
        told.wait()
        begun.wait()
        scheduler.shutdown(wait=True)

    with app.app_context():
        jobs = all_jobs()
    for job in jobs:
        scheduler.add_job(
            run_job,
            "interval",
            args=(app, job),
            id=job.name,
            seconds=job.every,
            next_run_time=clock.now(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
    # A round that is still under way when the next one is due is no trouble: nothing to tell.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    gc.collect()
    gc.freeze()  # what was loaded lives as long as the process: a pause to look at it again helps nobody
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    stopper = threading.Thread(target=stop_when_told, name="stopper", daemon=True)
    stopper.start()
    scheduler.start()  # until it is shut down
    stopper.join()
