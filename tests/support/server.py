"""The real product as other processes: gunicorn, the worker, the one-shot commands."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from crm import supervisor
from crm.config import ROOT
from tests.support.smtp import LONGEST_WAIT

KEY = "a key for tests, of more than thirty-two characters"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def environment(database_url: str, folder: Path, smtp_url: str = "", **extra: str) -> dict[str, str]:
    """What a process of the product is told: nothing of this process's own settings passes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CRM_")}
    told = {"CRM_DATABASE_URL": database_url, "CRM_DATA_DIR": str(folder), "CRM_SECRET_KEY": KEY}
    if smtp_url:
        told["CRM_SMTP_URL"] = smtp_url
    return kept | told | {"PYTHONUNBUFFERED": "1"} | extra


def poll(true, what: str, process: subprocess.Popen | None = None):
    """Ask again until an outside process has done something; for nothing else."""
    until = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < until:
        if found := true():
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: the process ended with {process.returncode}")
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {LONGEST_WAIT} seconds")


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


class Product:
    """Processes of the product on one database and one data folder; all are stopped at the end."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.database_url, self.folder = database_url, folder
        self.processes: list[subprocess.Popen] = []

    def begin(self, command: list[str], *, smtp_url: str = "", **extra: str) -> subprocess.Popen:
        """Start a command of the product and give its process back at once."""
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(self.database_url, self.folder, smtp_url, **extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def command(self, *words: str, smtp_url: str = "") -> subprocess.Popen:
        return self.begin([sys.executable, "-m", "crm.cli", *words], smtp_url=smtp_url)

    def run(self, *words: str, smtp_url: str = "") -> str:
        """Run a command to its end; gives what it said. It must succeed."""
        process = self.command(*words, smtp_url=smtp_url)
        said, _ = process.communicate(timeout=LONGEST_WAIT * 2)
        assert process.returncode == 0, said
        return said

    def web(self, *, workers: int = 2, smtp_url: str = "", **extra: str) -> int:
        """gunicorn as `crm run` starts it; gives its port once it answers."""
        port = free_port()
        command = supervisor.web_command("127.0.0.1", port, workers)
        process = self.begin(command, smtp_url=smtp_url, CRM_BASE_URL=f"http://127.0.0.1:{port}", **extra)
        poll(lambda: answers(port), "gunicorn", process)
        return port

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.communicate(timeout=LONGEST_WAIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
