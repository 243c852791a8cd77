"""Figures for Prometheus, worked out of rows when they are asked for: every web worker says the same, and none keeps counts of its own."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from crm.cases.queries import forgotten
from crm.operations.queries import job_states, mail_state

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Figures:
    """What the library calls a collector."""

    def __init__(self, families: "Iterable[GaugeMetricFamily]") -> None:
        self.families = families

    def collect(self) -> "Iterable[GaugeMetricFamily]":
        return self.families


def exposition() -> bytes:
    """All figures, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - for the few who ask for figures

    registry = CollectorRegistry()
    registry.register(_Figures(tuple(_families())))
    return generate_latest(registry)


def _families() -> "Iterator[GaugeMetricFamily]":
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415 - as above

    def of_jobs(name: str, help_text: str, values: dict[str, float]) -> "GaugeMetricFamily":
        family = GaugeMetricFamily(f"passerelle_job_{name}", help_text, labels=["job"])
        for job, value in values.items():
            family.add_metric([job], value)
        return family

    jobs = job_states()
    finished = {job.name: job.finished_at.timestamp() for job in jobs if job.finished_at}
    failed = {job.name: job.failed_at.timestamp() for job in jobs if job.failed_at}
    yield of_jobs("last_success_timestamp_seconds", "When the job last ended well.", finished)
    yield of_jobs("last_failure_timestamp_seconds", "When the job last failed.", failed)
    yield of_jobs("late", "1 when the job missed three of its turns.", {job.name: float(job.late) for job in jobs})
    mail = mail_state()
    for name, help_text, value in (
        ("mail_waiting", "Messages that wait to leave.", float(mail.waiting)),
        ("mail_in_trouble", "Messages given up that nobody saw to.", float(mail.in_trouble)),
        ("mail_wait_seconds", "How long the first message that is due waits.", mail.waits),
        ("mail_paused", "1 while the mail server refuses us.", float(mail.pause is not None)),
        ("files_without_next_step", "Open files that nothing holds: 0, or a fault.", float(len(forgotten()))),
    ):
        yield GaugeMetricFamily(f"passerelle_{name}", help_text, value=value)
