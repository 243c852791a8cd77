"""What a test runs in a process of its own: copies of it that are killed at each write in turn, as `kill -9` does."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import event, text

from crm.db import db
from tests.support.server import Product

WRITES = ("INSERT", "UPDATE", "DELETE")


def kill_at(number: int) -> None:
    """From now on kill this process at its write of that number; the commit and the moment after it are two of them. In an app context."""
    count = 0

    def next_write(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(
        db.engine,
        "before_cursor_execute",
        lambda c, cursor, statement, *_: statement.lstrip().startswith(WRITES) and next_write(),
    )
    event.listen(db.engine, "commit", next_write)
    event.listen(db.session, "after_commit", next_write)


def killed_at_each_write(act: Callable[[int], int], said: Callable[[], Any], *, most: int = 200, base: int = 0) -> None:
    """A copy of this process for each write: `act` begins by `kill_at` and gives a number from `base` to `base` + 200. Prints, for each copy, how it
    ended ("killed", or that number) and what is `said` then, until a copy meets no write any more.
    """
    for number in range(1, most):
        child = os.fork()
        if not child:
            try:
                os._exit(act(number) - base)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(255)
        _, how = os.waitpid(child, 0)
        ended = "killed" if os.WIFSIGNALED(how) else base + os.waitstatus_to_exitcode(how)
        print(json.dumps([ended, said()]), flush=True)
        if not os.WIFSIGNALED(how):
            break


def rows_told(app: Flask, statement: str) -> list[list[Any]]:
    """What a statement finds, by a connection that is not kept: a copy of this process must have its own."""
    with app.app_context():
        found = [list(row) for row in db.session.execute(text(statement))]
        db.session.remove()
        db.engine.dispose()
    return found


def lines_of(program: str, database_url: str, folder: Path, *words: str, **settings: str) -> list[list[Any]]:
    """Run a program that is killed at each write, to its end; gives the lines that it told."""
    product = Product(database_url, folder)
    try:
        process = product.begin([sys.executable, "-c", program, *words], **settings)
        said, _ = process.communicate(timeout=150)
    finally:
        product.stop()
    assert process.returncode == 0, said
    return [json.loads(line) for line in said.splitlines()]
