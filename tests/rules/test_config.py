"""Settings: what is accepted, what is refused and how it is said, and that README names every one."""

import ast
import os
import re
import stat
from pathlib import Path

import pytest

from crm import config
from crm.config import ROOT, ConfigError
from tests.rules.sources import CRM, modules

KEY = "a key for tests, of more than thirty-two characters"


def names_read() -> set[str]:
    """Every setting that the product asks its environment for."""
    tree = modules()[CRM / "config.py"]
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"CRM_[A-Z_]+", node.value)
    }


@pytest.fixture
def read(tmp_path):
    """Settings from the defaults of a fresh folder and what a test adds."""
    return lambda **extra: config.read({"CRM_DATA_DIR": str(tmp_path / "data"), "CRM_SECRET_KEY": KEY} | extra)


def problems(read, **extra) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(**extra)
    return refused.value.problems


def test_nothing_needs_to_be_set_to_try_the_product(tmp_path):
    settings = config.read({"CRM_DATA_DIR": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path / 'passerelle.sqlite'}"
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.smtp is None
    assert settings.languages == ("fr", "en")
    assert settings.trusted_proxies == 0
    assert settings.mail_from == "passerelle@example.com"
    assert settings.is_sqlite
    assert not settings.https
    assert len(settings.secret_key) >= 32


def test_settings_are_read_from_the_environment_of_the_process(monkeypatch, tmp_path):
    for name in names_read():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CRM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CRM_MAIL_FROM", "programme@example.ca")
    assert config.read().mail_from == "programme@example.ca"


def test_a_setting_left_empty_counts_as_not_set(read, tmp_path):
    empty = read(**dict.fromkeys(names_read() - {"CRM_DATA_DIR", "CRM_SECRET_KEY"}, ""))
    assert empty == read()


def test_settings_cannot_be_changed_while_the_product_runs(read):
    with pytest.raises(AttributeError):
        read().base_url = "https://elsewhere.example"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRM_DATABASE_URL", "mysql://host/crm"),
        ("CRM_DATABASE_URL", "passerelle.sqlite"),
        ("CRM_DATABASE_URL", "sqlite://passerelle.sqlite"),
        ("CRM_SECRET_KEY", "short"),
        ("CRM_SECRET_KEY", "x" * 31),
        ("CRM_SECRET_KEY_FILE", "/nowhere/key"),
        ("CRM_BASE_URL", "passerelle.example.ca"),
        ("CRM_BASE_URL", "ftp://passerelle.example.ca"),
        ("CRM_BASE_URL", "https://"),
        ("CRM_BASE_URL", "https://passerelle.example.ca/crm"),
        ("CRM_BASE_URL", "https://passerelle.example.ca?a=1"),
        ("CRM_BASE_URL", "https://passerelle.example.ca:port"),
        ("CRM_BASE_URL", "https://passerelle.example.ca:0"),
        ("CRM_BASE_URL", "https://passerelle.example.ca:99999"),
        ("CRM_BASE_URL", "https://[::1"),
        ("CRM_BASE_URL", "http://passerelle.example.ca"),
        ("CRM_BASE_URL", "http://192.168.1.10:8000"),
        ("CRM_BASE_URL", "http://127.0.0.1.example.ca"),
        ("CRM_BASE_URL", "http://localhost.example.ca"),
        ("CRM_SMTP_URL", "mail.example.ca"),
        ("CRM_SMTP_URL", "http://mail.example.ca"),
        ("CRM_SMTP_URL", "smtp://"),
        ("CRM_SMTP_URL", "smtp://mail.example.ca:port"),
        ("CRM_SMTP_URL", "smtp://mail.example.ca:99999"),
        ("CRM_MAIL_FROM", "programme"),
        ("CRM_MAIL_FROM", "Programme <programme@example.ca>"),
        ("CRM_MAIL_FROM", "a@example.ca,b@example.ca"),
        ("CRM_MAIL_FROM", "a@b@example.ca"),
        ("CRM_MAIL_FROM", "programme@example.ca\nBcc: x"),
        ("CRM_IMAP_URL", "mail.example.ca"),
        ("CRM_IMAP_URL", "https://u:p@mail.example.ca"),
        ("CRM_IMAP_URL", "imaps://mail.example.ca"),
        ("CRM_IMAP_URL", "imaps://u@mail.example.ca"),
        ("CRM_IMAP_URL", "imaps://u:p@mail.example.ca:port"),
        ("CRM_TRUSTED_PROXIES", "6"),
        ("CRM_TRUSTED_PROXIES", "-1"),
        ("CRM_TRUSTED_PROXIES", "one"),
        ("CRM_TRUSTED_PROXIES", "1.0"),
        ("CRM_TRUSTED_PROXIES", "\u0661"),
        ("CRM_PROOF_OF_WORK", "7"),
        ("CRM_PROOF_OF_WORK", "beaucoup"),
        ("CRM_SUMMARY_THRESHOLD", "4"),
        ("CRM_SUMMARY_THRESHOLD", "11"),
        ("CRM_SUMMARY_PERIOD", "month"),
        ("CRM_FISCAL_START", "3"),
        ("CRM_LANGUAGES", "en"),
        ("CRM_LANGUAGES", "en,fr"),
        ("CRM_LANGUAGES", "fr,de"),
        ("CRM_LANGUAGES", "fr;en"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_and_with_an_example(read, name, value):
    unset = {"CRM_SECRET_KEY": ""} if name == "CRM_SECRET_KEY_FILE" else {}
    (said,) = problems(read, **(unset | {name: value}))
    assert said.startswith(f"{name}: ")
    assert re.search(rf"Examples?: .|{name}=|smtps?://user", said), said


@pytest.mark.parametrize("address", ["programme", "a@b@example.ca", "programme+x@example.ca", "@example.ca"])
def test_a_mailbox_has_one_bare_address(read, address):
    (said,) = problems(read, CRM_IMAP_URL="imaps://u:p@h", CRM_IMAP_ADDRESS=address)
    assert said.startswith("CRM_IMAP_ADDRESS: ")
    assert "Example: CRM_IMAP_ADDRESS=" in said


def test_every_wrong_setting_is_told_at_once_and_not_only_the_first(read):
    said = problems(read, CRM_BASE_URL="nowhere", CRM_LANGUAGES="en", CRM_TRUSTED_PROXIES="9", CRM_MAIL_FROM="x")
    assert [line.partition(":")[0] for line in said] == [
        "CRM_BASE_URL", "CRM_MAIL_FROM", "CRM_TRUSTED_PROXIES", "CRM_LANGUAGES",
    ]  # fmt: skip


def test_a_refusal_never_prints_a_secret(read):
    wrong = {"CRM_SMTP_URL": "http://user:hush-hush@host", "CRM_IMAP_URL": "http://user:hush-hush@host"}
    said = "\n".join(problems(read, CRM_SECRET_KEY="hush-hush", **wrong))
    assert "hush" not in said


@pytest.mark.parametrize(
    ("name", "value", "field", "kept"),
    [
        ("CRM_DATABASE_URL", "sqlite:////srv/crm.sqlite", "database_url", "sqlite:////srv/crm.sqlite"),
        ("CRM_DATABASE_URL", "postgresql://u:p@h/d", "database_url", "postgresql+psycopg://u:p@h/d"),
        ("CRM_DATABASE_URL", "postgresql+psycopg://u@h/d", "database_url", "postgresql+psycopg://u@h/d"),
        ("CRM_BASE_URL", "https://passerelle.example.ca/", "base_url", "https://passerelle.example.ca"),
        ("CRM_BASE_URL", "https://passerelle.example.ca:8443", "base_url", "https://passerelle.example.ca:8443"),
        ("CRM_BASE_URL", "http://localhost:8123", "base_url", "http://localhost:8123"),
        ("CRM_BASE_URL", "http://127.0.0.1", "base_url", "http://127.0.0.1"),
        ("CRM_TRUSTED_PROXIES", "5", "trusted_proxies", 5),
        ("CRM_LANGUAGES", "fr, en", "languages", ("fr", "en")),
        ("CRM_LANGUAGES", "fr", "languages", ("fr",)),
        ("CRM_MAIL_FROM", "programme@example.ca", "mail_from", "programme@example.ca"),
        ("CRM_SECRET_KEY", "x" * 32, "secret_key", "x" * 32),
        ("CRM_SMTP_URL", "smtp://mail.example.ca", "smtp", config.Smtp("mail.example.ca", 587, None, None, False)),
        ("CRM_SMTP_URL", "smtp://h:2525", "smtp", config.Smtp("h", 2525, None, None, False)),
        ("CRM_SMTP_URL", "smtps://u%40x:p%2Fw@h", "smtp", config.Smtp("h", 465, "u@x", "p/w", True)),
        (
            "CRM_IMAP_URL",
            "imaps://u%40x:p%2Fw@h",
            "mailbox",
            config.Mailbox("h", 993, "u@x", "p/w", "INBOX", True, "u@x"),
        ),
        (
            "CRM_IMAP_URL",
            "imap://u%40x:p@h:1143/R%C3%A9ponses",
            "mailbox",
            config.Mailbox("h", 1143, "u@x", "p", "Réponses", False, "u@x"),
        ),
    ],
)
def test_a_right_setting_is_kept(read, name, value, field, kept):
    assert getattr(read(**{name: value}), field) == kept


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        ("https://passerelle.example.ca", ["passerelle.example.ca"]),
        ("https://Passerelle.example.ca:8443", ["passerelle.example.ca"]),
        ("http://127.0.0.1:8000", ["127.0.0.1", "localhost"]),
        ("http://localhost:8000", ["127.0.0.1", "localhost"]),
    ],
)
def test_requests_may_carry_the_name_of_the_base_address_only(read, address, hosts):
    settings = read(CRM_BASE_URL=address)
    assert settings.hosts == hosts
    assert settings.https is address.startswith("https")


# --- the secret key ------------------------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    first = config.read({"CRM_DATA_DIR": str(tmp_path)}).secret_key
    kept = tmp_path / "secret-key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text(encoding="utf-8") == first
    assert config.read({"CRM_DATA_DIR": str(tmp_path)}).secret_key == first


def test_two_products_never_make_the_same_key(tmp_path):
    keys = {config.read({"CRM_DATA_DIR": str(tmp_path / name)}).secret_key for name in "ab"}
    assert len(keys) == 2


def test_only_its_owner_enters_the_data_folder(tmp_path):
    old = os.umask(0o022)
    try:
        config.read({"CRM_DATA_DIR": str(tmp_path / "data")})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_key_that_another_process_just_made_stays(tmp_path):
    kept = tmp_path / "secret-key"
    kept.write_text(KEY, encoding="utf-8")
    config._write_private(kept, "another key, made at the same moment by this process")
    assert kept.read_text(encoding="utf-8") == KEY


def test_a_key_is_read_from_its_file_without_the_line_end(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    assert config.read({"CRM_DATA_DIR": str(tmp_path), "CRM_SECRET_KEY_FILE": str(file)}).secret_key == KEY
    assert not (tmp_path / "secret-key").exists()


def test_a_key_file_that_holds_no_text_is_refused(tmp_path):
    file = tmp_path / "key"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="CRM_SECRET_KEY_FILE"):
        config.read({"CRM_DATA_DIR": str(tmp_path), "CRM_SECRET_KEY_FILE": str(file)})


def test_an_empty_key_file_is_refused(tmp_path):
    file = tmp_path / "key"
    file.touch()
    with pytest.raises(ConfigError, match="CRM_SECRET_KEY_FILE"):
        config.read({"CRM_DATA_DIR": str(tmp_path), "CRM_SECRET_KEY_FILE": str(file)})


def test_a_data_folder_that_cannot_be_made_is_refused_by_its_name(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigError) as refused:
        config.read({"CRM_DATA_DIR": str(file / "data"), "CRM_SECRET_KEY": KEY})
    assert refused.value.problems[0].startswith("CRM_DATA_DIR: ")
    assert "Example: CRM_DATA_DIR=instance" in refused.value.problems[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRM_BASE_URL", "https://passerelle.example.ca#top"),
        ("CRM_BASE_URL", "https://user:password@passerelle.example.ca"),
        ("CRM_MAIL_FROM", "@"),
        ("CRM_MAIL_FROM", "programme@"),
        ("CRM_DATABASE_URL", "sqlite:///"),  # a database in memory, gone with the process
    ],
)
def test_a_setting_that_looks_right_and_is_not_is_refused(read, name, value):
    assert problems(read, **{name: value})


# --- the programme's facts -----------------------------------------------------------------------------------------


def test_a_line_of_the_programme_s_own_facts_replaces_the_one_that_ships(read, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "programme.toml").write_text('name = ["Le nom", "The name"]\n', encoding="utf-8")
    programme = read().programme
    assert programme.name == {"fr": "Le nom", "en": "The name"}
    assert programme.short_name == "Passerelle"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('name = ["Le nom"]', "name"),
        ('name = ["Le nom", ""]', "name"),
        ('name = "The name"', "name"),
        ('name = ["", "The name"]', "name"),
        ("phone = 5145550142", "phone"),
        ("name = [", "programme.toml"),
    ],
)
def test_a_fact_in_one_language_only_is_refused(read, tmp_path, line, named):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "programme.toml").write_text(line, encoding="utf-8")
    (said,) = problems(read)
    assert named in said
    assert "Example: " in said


# --- the environment and README ------------------------------------------------------------------------------------


def test_nothing_but_config_reads_the_environment():
    readers = [
        file.relative_to(ROOT).as_posix()
        for file, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"} and file.name != "config.py")
    ]
    assert not readers


def test_the_settings_that_scripts_rely_on_are_there():
    assert names_read() >= {
        "CRM_DATABASE_URL", "CRM_SECRET_KEY", "CRM_SECRET_KEY_FILE", "CRM_BASE_URL", "CRM_SMTP_URL", "CRM_DATA_DIR",
        "CRM_TRUSTED_PROXIES", "CRM_LANGUAGES",
    }  # fmt: skip


def test_readme_names_every_setting_and_none_that_is_not_read():
    readme = Path(ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bCRM_[A-Z_]+\b", readme))
    missing, unknown = names_read() - named, named - names_read()
    assert not missing, f"README.md does not say what these do: {', '.join(sorted(missing))}"
    assert not unknown, f"README.md names settings that do nothing: {', '.join(sorted(unknown))}"
