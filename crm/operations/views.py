"""The worker page, and the two addresses that machines read."""

import hmac
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, render_template, request
from sqlalchemy import text as sql

from crm import clock, db
from crm.access import coordinators, public
from crm.accounts.feature import me
from crm.cases.queries import forgotten
from crm.config import Settings
from crm.jobs import worker_is_late
from crm.operations import metrics
from crm.operations.queries import COUNTED, job_states, mail_state
from crm.outbox.queries import mail_trouble

bp = Blueprint("operations", __name__)


@bp.get("/healthz")
@public
def healthz() -> tuple[Response, int]:
    """For a monitor: 200 when the database answers and the worker works, 503 otherwise. It says which jobs are late, never why."""
    db.db.session.execute(sql("SELECT 1"))
    mail, late = mail_state(), worker_is_late()
    about: dict[str, Any] = {
        "database": db.db.engine.dialect.name,
        "worker": "late" if late else "ok",
        "late_jobs": [job.name for job in job_states() if job.late],
        "mail": "paused" if mail.pause else "ok",
        "mail_waits_seconds": round(mail.waits),
    }
    if db.db.engine.dialect.name == "sqlite":
        about["sqlite"] = db.SQLITE_VERSION
        about["wal"] = db.WAL_IS_SAFE
    return jsonify(about), 503 if late else 200


@bp.get("/metrics")
@public
def figures() -> Response:
    """Figures for Prometheus, for who knows the setting's token; without the setting the address does not exist."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.metrics_token:
        abort(404)
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {settings.metrics_token}".encode()):
        abort(404)
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


@bp.get("/staff/worker")
@coordinators
def worker() -> str:
    """How the worker and the mail are, and the files that nothing holds, of which there should be none."""
    return render_template(
        "operations/worker.html",
        jobs=job_states(),
        late=worker_is_late(),
        mail=mail_state(),
        counted=COUNTED,
        forgotten=forgotten(me()),
        now=clock.now(),
        trouble=mail_trouble(),
    )
