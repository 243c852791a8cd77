"""What a person meets while somebody else holds the database for 3, 8 and 60 seconds: python bench/held.py

A note is sent to a real server while another connection writes on SQLite, and holds the file's row on PostgreSQL. Prints the
answer, how long it took, and whether the text was saved or given back.
"""

import re
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    from tests.support.postgres import Server

    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="crm-held-") as folder:
            if kind == "sqlite":
                measure(kind, f"sqlite:///{folder}/crm.sqlite", Path(folder))
            else:
                server = Server(durable=True)
                try:
                    server.run("CREATE DATABASE held")
                    measure(kind, server.url("held"), Path(folder))
                finally:
                    server.stop()
    return 0


def measure(kind: str, url: str, folder: Path) -> None:
    import psycopg
    from sqlalchemy.engine import make_url

    from crm.db import sqlite
    from tests.conftest import filled_in
    from tests.support.browser import Browser
    from tests.support.server import Product

    filled_in(folder)
    product = Product(url, folder)
    try:
        product.run("db", "upgrade")
        product.run("demo", "--cases", "60")
        port = product.web()
        browser = Browser(port)
        email, password = re.findall(
            r"adviser\s+(\S+@\S+)\s+(\S+)", (folder / "demo-sign-ins.txt").read_text(encoding="utf-8")
        )[0]
        browser.get("/staff/sign-in")
        browser.post("/staff/sign-in", {"email": email, "password": password})
        reference = re.findall(r"/staff/cases/([A-Z]+-\w{4}-\w{4})", browser.get("/staff/cases")[2])[0]
        for seconds in (3, 8, 60):
            browser.get(f"/staff/cases/{reference}")
            if kind == "sqlite":
                other = sqlite.connect(make_url(url).database, isolation_level=None, check_same_thread=False)
                other.execute("BEGIN IMMEDIATE")
            else:
                other = psycopg.connect(url)
                other.execute("LOCK TABLE case_file, event, note IN EXCLUSIVE MODE")
            release = threading.Timer(seconds, other.rollback)
            release.start()
            began = time.perf_counter()
            status, _headers, body = browser.post(f"/staff/cases/{reference}/notes", {"body": f"Tenu {seconds} s"})
            took = time.perf_counter() - began
            release.join()
            other.close()
            given_back = f"Tenu {seconds} s" in body
            page = browser.get(f"/staff/cases/{reference}")[2]
            saved = f"Tenu {seconds} s" in page
            print(
                f"{kind:10} held {seconds:2} s: {status} after {took:4.1f} s, saved: {saved}, text given back: {given_back}"
            )
    finally:
        product.stop()


if __name__ == "__main__":
    raise SystemExit(main())
