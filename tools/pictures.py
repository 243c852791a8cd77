"""Takes the README's pictures: the demonstration data, a real server, a real Chromium. CHROMIUM names the browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> int:
    browser_path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        print("pictures: no Chromium found; set CHROMIUM=/path/to/chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        base = f"http://127.0.0.1:{port}"
        environment = {**os.environ, "CRM_DATA_DIR": folder, "CRM_BASE_URL": base}
        crm = [sys.executable, "-m", "crm.cli"]
        subprocess.run([*crm, "demo"], env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        server = subprocess.Popen([*crm, "run", "--port", str(port)], env=environment, cwd=ROOT)
        try:
            _wait(port)
            signs = (Path(folder) / "demo-sign-ins.txt").read_text(encoding="utf-8")
            _take(browser_path, base, *re.findall(r"coordinator\s+(\S+@\S+)\s+(\S+)", signs)[0])
        finally:
            server.terminate()
            server.wait(30)
    return 0


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _take(browser_path: str, base: str, email: str, password: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        phone = browser.new_page(viewport={"width": 360, "height": 720}, color_scheme="light")
        phone.goto(f"{base}/fr/demande")
        phone.click("main button.button--main")
        phone.fill("#contact_name", "Nadia Benali")
        phone.check('input[name="contact_role"][value="lead"]')
        phone.screenshot(path=PICTURES / "form-fr-phone.png")
        desk = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        desk.goto(f"{base}/staff/sign-in")
        desk.fill("#email", email)
        desk.fill("#password", password)
        desk.click("main button")
        desk.goto(f"{base}/staff/cases?stage=referred")
        desk.locator("table.list tbody a").nth(2).click()
        desk.wait_for_load_state()
        desk.screenshot(path=PICTURES / "case-fr.png")
        browser.close()


if __name__ == "__main__":
    raise SystemExit(main())
