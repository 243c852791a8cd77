"""One command that keeps a web server and a worker running: `crm run`. Either is started again when it dies."""

import logging
import os
import signal
import subprocess
import sys
import time
from types import FrameType

from crm import config

RESTART_PAUSE = 0.5
MOST_DEATHS, WITHIN = 20, 1800.0  # seconds
# The C library gives each thread a heap of its own, and each keeps what the largest page took. Threads that take turns, as Python's do, gain
# nothing by it: six of them hold a tenth less in one heap, at the same cost.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
log = logging.getLogger("passerelle")


def run(host: str, port: int, *, web_workers: int, with_worker: bool) -> int:
    """Serve until SIGTERM or SIGINT, then let both finish what they do. Returns the exit code."""
    commands = {"web": web_command(host, port, web_workers)}
    if with_worker:
        commands["worker"] = [sys.executable, "-m", "crm.cli", "worker"]
    running = {name: _started(command) for name, command in commands.items()}
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for process in running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    deaths: list[float] = []
    while not stopping:
        time.sleep(0.3)
        for name, process in list(running.items()):
            if process.poll() is None or stopping:
                continue
            deaths = lately(deaths, time.monotonic())
            if len(deaths) > MOST_DEATHS:
                log.error("%s keeps dying (exit code %s); giving up", name, process.returncode)
                stop(signal.SIGTERM, None)
                return 1
            log.warning("%s ended with code %s; starting it again", name, process.returncode)
            time.sleep(RESTART_PAUSE)
            running[name] = _started(commands[name])
            if stopping:  # told to stop during the pause: the newcomer was not there to hear it
                running[name].send_signal(signal.SIGTERM)
    for process in running.values():
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
    return 0


def _started(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=config.for_a_child(ONE_HEAP))  # noqa: S603


def lately(deaths: list[float], now: float) -> list[float]:
    """The deaths of the last half hour, this one included: older ones are forgiven, so that rare ones never add up."""
    return [*(at for at in deaths if now - at < WITHIN), now]


def web_command(host: str, port: int, workers: int) -> list[str]:
    """gunicorn with threads; no preload, so that no database connection crosses a fork."""
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "wsgi:app",
        f"--bind={bind}",
        f"--workers={workers}",
        "--worker-class=gthread",
        "--threads=6",
        "--timeout=60",
        "--graceful-timeout=15",
        "--log-level=warning",
        "--no-control-socket",  # a file in somebody's home that two installations would share
        "--max-requests=20000",
        "--max-requests-jitter=2000",
        f"--chdir={os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}",  # noqa: PTH100, PTH120
    ]
