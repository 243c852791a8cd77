"""`crm run` keeps a web server and a worker alive, and stops both when told to."""

import os
import signal
import sys
from pathlib import Path

import pytest

from crm import supervisor
from tests.support.server import Product, answers, free_port, poll


@pytest.fixture
def kind():
    """Nothing here depends on the database: one will do."""
    return "sqlite"


@pytest.fixture
def product(database_url, tmp_path):
    product = Product(database_url, tmp_path)
    yield product
    product.stop()


def children(pid: int) -> dict[int, str]:
    """The live children of a process, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def one_running(pid: int, what: str, but: int = 0) -> int:
    return next((child for child, command in children(pid).items() if what in command and child != but), 0)


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(product):
    port = free_port()
    run = product.command("run", "--port", str(port))
    poll(lambda: answers(port), "crm run", run)
    poll(lambda: one_running(run.pid, "crm.cli worker"), "its worker", run)
    return run, port


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_worker_and_a_killed_server_come_back_and_both_stop_when_told(product):
    run, port = start(product)
    for what in ("crm.cli worker", "gunicorn"):
        first = one_running(run.pid, what)
        theirs = list(children(first))
        os.kill(first, signal.SIGKILL)
        for orphan in theirs:  # gunicorn's own workers notice by themselves; not waited for
            if alive(orphan):
                os.kill(orphan, signal.SIGKILL)
        poll(lambda what=what, first=first: one_running(run.pid, what, but=first), f"a new {what}", run)
    poll(lambda: answers(port), "the new server", run)
    everybody = list(children(run.pid))
    everybody += [grandchild for child in everybody for grandchild in children(child)]
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert [pid for pid in everybody if alive(pid)] == []
    assert said.count("starting it again") == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_being_told_to_stop_while_a_worker_is_started_again_leaves_nobody_behind(product):
    run, _ = start(product)
    os.kill(one_running(run.pid, "crm.cli worker"), signal.SIGKILL)
    poll(lambda: "starting it again" in run.stdout.readline(), "the supervisor noticing", run)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 0, said
    assert [folder.name for folder in Path("/proc").glob("[0-9]*") if _in_group(folder, run.pid)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_web_server_keeps_one_heap_and_leaves_no_socket_in_somebodys_home(product, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    run, _ = start(product)
    web = one_running(run.pid, "gunicorn")
    assert b"MALLOC_ARENA_MAX=1" in Path(f"/proc/{web}/environ").read_bytes().split(b"\0")
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert not (tmp_path / ".gunicorn").exists()


def _in_group(folder: Path, group: int) -> bool:
    try:
        state, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return int(of) == group and state != "Z"


def test_deaths_in_a_row_are_counted_and_rare_ones_are_forgiven():
    in_a_row: list[float] = []
    for second in range(21):
        in_a_row = supervisor.lately(in_a_row, float(second))
    assert len(in_a_row) > supervisor.MOST_DEATHS
    rare: list[float] = []
    for day in range(1000):
        rare = supervisor.lately(rare, day * 86_400.0)
    assert len(rare) == 1


def test_a_database_that_is_not_up_to_date_is_not_served(tmp_path):
    product = Product(f"sqlite:///{tmp_path / 'new.sqlite'}", tmp_path)
    run = product.command("run", "--port", str(free_port()))
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "crm db upgrade" in said
