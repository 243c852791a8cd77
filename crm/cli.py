"""The `crm` command. Each command does one thing, says what it did, and exits with 0 only when it was done."""

import secrets
import sys
from typing import TYPE_CHECKING

import click

from crm import config

if TYPE_CHECKING:
    from flask import Flask

    from crm.accounts.models import Staff


def _app() -> "Flask":
    """The product, or a refusal that names what is wrong."""
    from crm.app import create_app

    return create_app(_settings())


def _settings() -> config.Settings:
    try:
        return config.read()
    except config.ConfigError as error:
        for problem in error.problems:
            click.echo(f"passerelle: {problem}", err=True)
        raise SystemExit(2) from None


@click.group()
def main() -> None:
    """Passerelle: intake and case tracking."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--web-workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--worker/--no-worker", default=True, help="Run the worker beside the web server.")
def run(host: str, port: int, web_workers: int, *, worker: bool) -> None:
    """Serve the product and run its worker; either is started again when it dies."""
    from crm import schema, supervisor

    app = _app()
    if not schema.is_current(app):
        raise click.ClickException("the database is not up to date. Run: crm db upgrade")
    click.echo(f"\nPasserelle serves {app.extensions['settings'].base_url} (Ctrl+C stops it)")
    sys.exit(supervisor.run(host, port, web_workers=web_workers, with_worker=worker))


@main.command()
def worker() -> None:
    """Do what is due, again and again: reminders, mail, housekeeping."""
    from crm.jobs import work

    work(_app())


@main.command("send-due")
@click.option("--lease", default=300, show_default=True, type=click.IntRange(1, 86400), help="Seconds a claim lasts.")
def send_due(lease: int) -> None:
    """Once: turn what is due into messages, and send the messages that are due."""
    from datetime import timedelta

    from crm.db import db, writing
    from crm.jobs import beat
    from crm.outbox.deliver import send_due as send
    from crm.reminders.services import queue_due

    app = _app()
    with app.app_context(), writing():
        queued = 0
        while found := queue_due():
            db.session.commit()
            queued += found
        db.session.commit()
        sent = 0
        while found := send(lease=timedelta(seconds=lease)):
            sent += found
        beat("send", sent)
    click.echo(f"{queued} reminders queued, {sent} messages sent")


@main.command("job")
@click.argument("name", required=False)
def job(name: str | None) -> None:
    """Once: do one of the worker's jobs. Without a name, say which there are."""
    from crm.jobs import JobFailedError, all_jobs, run_job

    app = _app()
    with app.app_context():
        jobs = {one.name: one for one in all_jobs()}
    if name is None:
        click.echo("\n".join(jobs))
        return
    if name not in jobs:
        raise click.ClickException(f"no job is called {name}. There are: {', '.join(jobs)}")
    try:
        done = run_job(app, jobs[name], strict=True)
    except JobFailedError as error:
        raise click.ClickException(f"{name} failed: {error}") from None
    click.echo(f"{name}: {done} done")


@main.command("create-staff")
@click.argument("email")
@click.option("--name", required=True)
@click.option("--role", required=True, type=click.Choice(["admin", "coordinator", "adviser", "observer"]))
@click.option("--language", default="fr", show_default=True, type=click.Choice(["fr", "en"]))
@click.option("--on-duty", is_flag=True, help="Gets what nobody holds.")
def create_staff(email: str, name: str, role: str, language: str, *, on_duty: bool) -> None:
    """Make an account. The password is asked for, or read from standard input; empty makes a random one."""
    from email_validator import EmailNotValidError, validate_email

    from crm.access import Role
    from crm.accounts import services
    from crm.db import db, writing

    try:
        validate_email(email, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise click.ClickException(str(error)) from None
    password = _password()
    app = _app()
    with app.app_context(), writing():
        try:
            services.create_staff(
                email=email,
                name=name,
                role=Role(role),
                language=language,
                password=password or _shown(),
                on_duty=on_duty,
            )
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        db.session.commit()
    click.echo(f"account made for {email}")


@main.command("set-password")
@click.argument("email")
def set_password(email: str) -> None:
    """Change a password; every session of the account ends."""
    from crm.accounts import services
    from crm.db import db, writing

    password = _password()
    app = _app()
    with app.app_context(), writing():
        staff = _staff(email)
        try:
            services.set_password(staff, password or _shown())
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        db.session.commit()
    click.echo(f"password changed for {email}")


@main.command("deactivate-staff")
@click.argument("email")
def deactivate_staff(email: str) -> None:
    """Close an account at once; its open files and follow-ups go to the duty person."""
    from crm.access import Role
    from crm.accounts import services
    from crm.accounts.queries import active_admins, duty_person
    from crm.cases.services import release_files
    from crm.db import db, writing
    from crm.reminders.services import adopt_from

    app = _app()
    with app.app_context(), writing():
        staff = _staff(email)
        if staff.role is Role.ADMIN and active_admins() == [staff.id]:
            raise click.ClickException("this is the last active admin: make another one first")
        services.deactivate(staff)
        db.session.flush()
        duty = duty_person()
        files = release_files(staff, duty)
        adopt_from(staff, duty)
        db.session.commit()
        to = f" to {duty.email}" if duty else ""
    click.echo(f"{email} is deactivated; {files} open files went{to}")


@main.command()
@click.option("--cases", default=150, show_default=True, type=click.IntRange(10, 2_000_000))
@click.option("--seed", default=20261122, show_default=True)
def demo(cases: int, seed: int) -> None:
    """Load a believable programme into an empty database, and print its sign-ins."""
    from crm import demo as demonstration
    from crm import schema

    app = _app()
    schema.upgrade(app)
    try:
        demonstration.load(app, cases=cases, seed=seed, say=click.echo)
    except demonstration.RealDataError as error:
        raise click.ClickException(str(error)) from None


@main.command()
def check() -> None:
    """Say what is wrong with the settings and the database, if anything."""
    from crm import schema
    from crm.accounts.queries import duty_person
    from crm.cases.queries import forgotten
    from crm.db import SQLITE_VERSION, WAL_IS_SAFE

    settings = _settings()
    app = _app()
    problems = []
    if not schema.is_current(app):
        problems.append("the database is not up to date. Run: crm db upgrade")
    else:
        with app.app_context():
            if duty_person() is None:
                problems.append(
                    "nobody works on files yet. Run: crm create-staff name@example.ca --name … --role coordinator"
                )
            lost = forgotten()
            problems += [f"file {case.reference} has no next step" for case in lost]
    if settings.is_sqlite and not WAL_IS_SAFE:
        click.echo(f"note: SQLite {SQLITE_VERSION} is older than 3.51.3: the slower rollback journal is used")
    if settings.smtp is None:
        click.echo(f"note: CRM_SMTP_URL is not set: mail goes to files in {settings.data_dir / 'mail'}")
    for problem in problems:
        click.echo(f"passerelle: {problem}", err=True)
    if problems:
        raise SystemExit(1)
    click.echo("settings and database are in order")


@main.command("rebuild-search")
def rebuild_search() -> None:
    """Make what search finds anew from the files. People may go on working and searching meanwhile."""
    from crm.cases.searching import rebuild
    from crm.db import writing

    app = _app()
    with app.app_context(), writing():
        written = rebuild()
    click.echo(f"{written} files and texts indexed")


@main.group("db")
def database() -> None:
    """The database."""


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to the newest revision."""
    from crm import schema

    schema.upgrade(_app())
    click.echo("the database is up to date")


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, default="", show_default=False))
    return sys.stdin.readline().rstrip("\n")


def _shown() -> str:
    """A random password, shown once."""
    password = secrets.token_urlsafe(18)
    click.echo(f"password: {password}")
    return password


def _staff(email: str) -> "Staff":
    from crm.accounts.queries import by_email

    staff = by_email(email)
    if staff is None:
        raise click.ClickException(f"no account for {email}")
    return staff


if __name__ == "__main__":
    main()
