"""Settings, read once from the environment, frozen, refused loudly when wrong.

`crm check` prints each problem with an example. Nothing else in the product reads the environment.
"""

import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("fr", "en")
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


class ConfigError(Exception):
    """One or more settings are wrong. `problems` holds a sentence for each, with an example."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Smtp:
    """Where mail leaves: `implicit_tls` is smtps://; on smtp:// STARTTLS is used when there is a password."""

    host: str
    port: int
    username: str | None
    password: str | None
    implicit_tls: bool


@dataclass(frozen=True)
class Mailbox:
    """Where answers arrive: a folder read by IMAP, in TLS from the first byte (imaps://) or by STARTTLS (imap://). `address` is what people
    write to; the server must deliver what is written to it with "+" and a word before its "@".
    """

    host: str
    port: int
    username: str
    password: str
    folder: str
    implicit_tls: bool
    address: str


@dataclass(frozen=True)
class Programme:
    """Facts about the programme that pages and messages print. Pairs are (French, English)."""

    short_name: str
    name: Mapping[str, str]
    organisation: Mapping[str, str]
    phone: str
    email: str
    address: Mapping[str, str]
    privacy_title: Mapping[str, str]
    privacy_email: str
    hosting_place: Mapping[str, str]
    retention: Mapping[str, str]
    reference_prefix: str
    sender: str  # the address mail leaves from; CRM_MAIL_FROM when empty
    easter_monday: bool  # closed on Easter Monday rather than on Good Friday
    closures: str  # days and periods without anybody, beside holidays
    asks_newsletter: bool
    asks_survey: bool
    asks_files: bool
    form_open: bool


@dataclass(frozen=True)
class Settings:
    """Everything the product may be told from outside."""

    database_url: str
    secret_key: str
    base_url: str
    smtp: Smtp | None
    mail_from: str
    mailbox: Mailbox | None
    data_dir: Path
    trusted_proxies: int
    languages: tuple[str, ...]
    metrics_token: str  # who knows it reads /metrics; without one the address does not exist
    proof_of_work: int  # bits a sender's browser works out; 0 asks for none
    summary_threshold: int  # counts below it are hidden from the committee
    summary_period: str  # how often there is a summary: quarter, half or year
    fiscal_start: int  # the month with which years and halves begin
    programme: Programme

    @cached_property
    def https(self) -> bool:
        """Whether people reach the product over https: decides Secure cookies and HSTS."""
        return self.base_url.startswith("https://")

    @cached_property
    def hosts(self) -> list[str]:
        """Host names that requests may carry, from `CRM_BASE_URL` only."""
        host = urlsplit(self.base_url).hostname or ""
        return list(LOOPBACK_HOSTS[:2]) if host in LOOPBACK_HOSTS else [host]

    @cached_property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read all settings; raise ConfigError naming every one that is wrong, not just the first."""
    env = os.environ if environ is None else environ
    problems: list[str] = []
    data_dir = _data_dir(env, problems)
    base_url = _base_url(env, problems)
    settings = Settings(
        database_url=_database_url(env, data_dir, problems),
        secret_key=_secret_key(env, data_dir, problems),
        base_url=base_url,
        smtp=_smtp(env, problems),
        mail_from=_mail_from(env, problems),
        mailbox=_mailbox(env, problems),
        data_dir=data_dir,
        trusted_proxies=_trusted_proxies(env, problems),
        languages=_languages(env, problems),
        metrics_token=_metrics_token(env, problems),
        proof_of_work=_proof_of_work(env, problems),
        summary_threshold=_summary_threshold(env, problems),
        summary_period=_summary_period(env, problems),
        fiscal_start=_fiscal_start(env, problems),
        programme=_programme(data_dir, problems),
    )
    if problems:
        raise ConfigError(problems)
    return settings


def for_a_child(defaults: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that the product starts: this one's, and `defaults` for what it does not say."""
    return {**defaults, **os.environ}


def _data_dir(env: Mapping[str, str], problems: list[str]) -> Path:
    path = Path(env.get("CRM_DATA_DIR") or ROOT / "instance").expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problems.append(f"CRM_DATA_DIR: {path} cannot be used ({error.strerror}). Example: CRM_DATA_DIR=instance")
    return path


def _database_url(env: Mapping[str, str], data_dir: Path, problems: list[str]) -> str:
    value = env.get("CRM_DATABASE_URL") or f"sqlite:///{data_dir / 'passerelle.sqlite'}"
    if value.startswith("postgresql://"):
        return "postgresql+psycopg://" + value.removeprefix("postgresql://")
    if value == "sqlite:///" or not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        problems.append(
            "CRM_DATABASE_URL: only SQLite and PostgreSQL are supported. "
            "Examples: sqlite:////srv/passerelle/passerelle.sqlite, postgresql://user:password@host/passerelle"
        )
    return value


def _secret_key(env: Mapping[str, str], data_dir: Path, problems: list[str]) -> str:
    """The key that signs cookies and links. Without a setting, one is made once and kept in the data folder."""
    value = env.get("CRM_SECRET_KEY", "")
    if not value and (named := env.get("CRM_SECRET_KEY_FILE")):
        try:
            value = Path(named).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            problems.append(
                f"CRM_SECRET_KEY_FILE: {named} cannot be read. Example: CRM_SECRET_KEY_FILE=/etc/passerelle/key"
            )
            return ""
        if not value:
            problems.append(f"CRM_SECRET_KEY_FILE: {named} is empty. Example: CRM_SECRET_KEY_FILE=/etc/passerelle/key")
            return ""
    if not value:
        kept = data_dir / "secret-key"
        try:
            if not kept.exists():
                _write_private(kept, secrets.token_urlsafe(48))
            value = kept.read_text(encoding="utf-8").strip()
        except OSError as error:
            problems.append(f"CRM_SECRET_KEY: not set, and {kept} cannot be made ({error.strerror}).")
            return ""
    if len(value) < 32:
        problems.append(
            "CRM_SECRET_KEY: at least 32 characters. "
            "Example: CRM_SECRET_KEY=\"$(python3 -c 'import secrets; print(secrets.token_urlsafe(48))')\""
        )
    return value


def _write_private(path: Path, text: str) -> None:
    """Create `path` readable by its owner only; when two processes race, the first one's text stays."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def _base_url(env: Mapping[str, str], problems: list[str]) -> str:
    value = (env.get("CRM_BASE_URL") or "http://127.0.0.1:8000").rstrip("/")
    wrong = "CRM_BASE_URL: the address people use, without a path. Example: CRM_BASE_URL=https://passerelle.example.ca"
    try:
        parts = urlsplit(value)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        problems.append(wrong)
        return value
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.path
        or parts.query
        or parts.fragment
        or parts.username
        or not has_port
    ):
        problems.append(wrong)
    elif parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        problems.append(
            "CRM_BASE_URL: plain http is accepted for this machine only (127.0.0.1 or localhost), because passwords "
            "would travel in clear. Example: CRM_BASE_URL=https://passerelle.example.ca"
        )
    return value


def _smtp(env: Mapping[str, str], problems: list[str]) -> Smtp | None:
    value = env.get("CRM_SMTP_URL", "")
    if not value:
        return None
    wrong = "CRM_SMTP_URL: smtp://user:password@host:587 or smtps://user:password@host:465"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        problems.append(wrong)
        return None
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        problems.append(wrong)
        return None
    implicit = parts.scheme == "smtps"
    return Smtp(
        host=parts.hostname,
        port=port or (465 if implicit else 587),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        implicit_tls=implicit,
    )


def _mail_from(env: Mapping[str, str], problems: list[str]) -> str:
    value = env.get("CRM_MAIL_FROM") or "passerelle@example.com"
    if not _is_address(value):
        problems.append("CRM_MAIL_FROM: one bare address. Example: CRM_MAIL_FROM=programme@example.ca")
    return value


def _is_address(value: str) -> bool:
    return value.count("@") == 1 and value[0] != "@" and value[-1] != "@" and not any(c in value for c in "\r\n,;<> ")


def _mailbox(env: Mapping[str, str], problems: list[str]) -> Mailbox | None:
    value = env.get("CRM_IMAP_URL", "")
    if not value:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"imap", "imaps"} or not parts.hostname or not parts.username or not parts.password:
        problems.append(
            "CRM_IMAP_URL: who signs in, where, and the folder if it is not INBOX. "
            "Example: CRM_IMAP_URL=imaps://user:password@host:993/INBOX"
        )
        return None
    username = unquote(parts.username)
    address = env.get("CRM_IMAP_ADDRESS") or username
    if not _is_address(address) or "+" in address:
        problems.append(
            "CRM_IMAP_ADDRESS: the bare address of the mailbox that CRM_IMAP_URL reads, without a +. "
            "Example: CRM_IMAP_ADDRESS=programme@example.ca"
        )
    implicit = parts.scheme == "imaps"
    return Mailbox(
        host=parts.hostname,
        port=port or (993 if implicit else 143),
        username=username,
        password=unquote(parts.password),
        folder=unquote(parts.path.strip("/")) or "INBOX",
        implicit_tls=implicit,
        address=address,
    )


def _trusted_proxies(env: Mapping[str, str], problems: list[str]) -> int:
    value = env.get("CRM_TRUSTED_PROXIES") or "0"
    if not value.isascii() or not value.isdigit() or int(value) > 5:
        problems.append("CRM_TRUSTED_PROXIES: how many proxies stand in front, 0 to 5. Example: CRM_TRUSTED_PROXIES=1")
        return 0
    return int(value)


def _languages(env: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    value = tuple(part.strip() for part in (env.get("CRM_LANGUAGES") or "fr,en").split(","))
    if value not in {("fr", "en"), ("fr",)}:
        problems.append("CRM_LANGUAGES: French comes first. Examples: CRM_LANGUAGES=fr,en or CRM_LANGUAGES=fr")
        return LANGUAGES
    return value


def _metrics_token(env: Mapping[str, str], problems: list[str]) -> str:
    value = env.get("CRM_METRICS_TOKEN", "")
    if value and (len(value) < 16 or not value.isascii() or not value.isprintable() or " " in value):
        problems.append(
            "CRM_METRICS_TOKEN: at least 16 letters and digits, or nothing for no /metrics. "
            "Example: CRM_METRICS_TOKEN=\"$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))')\""
        )
        return ""
    return value


def _proof_of_work(env: Mapping[str, str], problems: list[str]) -> int:
    value = env.get("CRM_PROOF_OF_WORK") or "0"
    if not value.isascii() or not value.isdigit() or (int(value) and not 8 <= int(value) <= 22):
        problems.append("CRM_PROOF_OF_WORK: 0 for none, or 8 to 22 bits. Example: CRM_PROOF_OF_WORK=14")
        return 0
    return int(value)


def _summary_threshold(env: Mapping[str, str], problems: list[str]) -> int:
    value = env.get("CRM_SUMMARY_THRESHOLD") or "5"
    if value not in {"5", "6", "7", "8", "9", "10"}:
        problems.append("CRM_SUMMARY_THRESHOLD: 5 to 10. Example: CRM_SUMMARY_THRESHOLD=5")
        return 5
    return int(value)


def _summary_period(env: Mapping[str, str], problems: list[str]) -> str:
    value = env.get("CRM_SUMMARY_PERIOD") or "quarter"
    if value not in {"quarter", "half", "year"}:
        problems.append("CRM_SUMMARY_PERIOD: quarter, half or year. Example: CRM_SUMMARY_PERIOD=quarter")
        return "quarter"
    return value


def _fiscal_start(env: Mapping[str, str], problems: list[str]) -> int:
    value = env.get("CRM_FISCAL_START") or "1"
    if value not in {"1", "4", "7", "10"}:
        problems.append("CRM_FISCAL_START: the month 1, 4, 7 or 10. Example: CRM_FISCAL_START=4")
        return 1
    return int(value)


def _programme(data_dir: Path, problems: list[str]) -> Programme:
    """The shipped facts, overridden line by line by `programme.toml` in the data folder.

    A fact may be empty: coordinators fill it in on the settings page, and the form stays closed meanwhile. One of the wrong kind is refused.
    """
    facts: dict[str, Any] = tomllib.loads((ROOT / "crm" / "programme.toml").read_text(encoding="utf-8"))
    own = data_dir / "programme.toml"
    if own.exists():
        try:
            facts |= {"form_open": True} | tomllib.loads(own.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{own}: {error}. Example: crm/demo/programme.toml")
    fields: dict[str, Any] = {}
    for name, kind in Programme.__annotations__.items():
        value = facts.get(name)
        fields[name] = value
        if kind is bool:
            if not isinstance(value, bool):
                problems.append(f"{own}: {name} is true or false. Example: {name} = false")
        elif kind is str:
            if not isinstance(value, str):
                problems.append(f'{own}: {name} is one text. Example: {name} = "…"')
        elif isinstance(value, list) and len(value) == len(LANGUAGES) and all(isinstance(v, str) for v in value):
            fields[name] = dict(zip(LANGUAGES, value, strict=True))
            if not all(value) and any(value):
                problems.append(
                    f'{own}: {name} is missing in a language. Example: {name} = ["…", "…"] (French, English)'
                )
        else:
            fields[name] = {}
            problems.append(f'{own}: {name} is a pair. Example: {name} = ["…", "…"] (French, English)')
    return Programme(**fields)
