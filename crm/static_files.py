"""Addresses of static files carry a mark of their content, so that browsers may keep them for a year."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from flask import Flask


def address_of(app: Flask) -> Callable[[str], str]:
    """A function from a file's name to its address; marks are computed once, when the app is made."""
    folder = Path(app.static_folder or "")
    marks = {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }

    def address(name: str) -> str:
        return f"{app.static_url_path}/{name}?v={marks[name]}"

    return address
