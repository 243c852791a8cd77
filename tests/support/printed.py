"""What a test prints of the product is kept in a file that people read: UPDATE=1 writes it again."""

import os

from crm.config import ROOT


def kept(where: str, now: str) -> None:
    """The file says what is printed today; otherwise the test that prints it fails and says which lines differ."""
    file = ROOT / where
    if os.environ.get("UPDATE"):
        file.write_text(now, encoding="utf-8")
    was = file.read_text(encoding="utf-8").splitlines()
    lines = now.splitlines()
    assert lines == was, (
        f"{where} is stale. If this is meant, run the test again with UPDATE=1 before it.\n"
        f"missing: {[line for line in lines if line not in was]}\ntoo much: {[line for line in was if line not in lines]}"
    )
