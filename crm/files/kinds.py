"""Which files are accepted, and how much of them. Pure: no web, no database. Source: security reference, section 5.8."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

LARGEST = 10 * 1024 * 1024  # bytes of one file
MOST = 5  # files of one request
MOST_FROM_A_NETWORK = 20  # files within an hour
LONGEST_NAME = 150
ENTRIES, DECLARED, RATIO = (
    1000,
    100 * 1024 * 1024,
    100,
)  # of an office file: parts, bytes once unpacked, and that over its size
PIXELS = 40_000_000
ROOM = 1_000_000_000  # bytes that stay free: below, files are refused and text is kept


class FileKind(StrEnum):
    """What is accepted, by extension."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpg"
    DOCX = "docx"
    XLSX = "xlsx"


CONTENT_TYPES = {
    FileKind.PDF: "application/pdf",
    FileKind.PNG: "image/png",
    FileKind.JPEG: "image/jpeg",
    FileKind.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
NAMES = {
    FileKind.PDF: "PDF",
    FileKind.PNG: "PNG",
    FileKind.JPEG: "JPEG",
    FileKind.DOCX: "Word (DOCX)",
    FileKind.XLSX: "Excel (XLSX)",
}
ACCEPT = ".pdf,.png,.jpg,.jpeg,.docx,.xlsx"  # for the browser's own window of choice; nothing relies on it
# Behind any dot of a name: what a system may run or a browser may draw.
_DANGEROUS = frozenset(
    [
        "exe",
        "com",
        "bat",
        "cmd",
        "msi",
        "scr",
        "pif",
        "ps1",
        "vbs",
        "vbe",
        "js",
        "jse",
        "mjs",
        "wsf",
        "wsh",
        "hta",
        "jar",
        "lnk",
        "reg",
        "sh",
        "py",
        "pl",
        "php",
        "asp",
        "aspx",
        "jsp",
        "cgi",
        "dll",
        "so",
        "app",
        "dmg",
        "iso",
        "img",
        "svg",
        "svgz",
        "htm",
        "html",
        "xhtml",
        "shtml",
        "xml",
        "xsl",
        "mht",
        "mhtml",
        "swf",
        "docm",
        "dotm",
        "xlsm",
        "xltm",
        "xlam",
        "pptm",
        "zip",
        "rar",
        "7z",
        "gz",
        "tar",
    ]
)


class FileRefusal(StrEnum):
    """Why a file is not taken; the words are in `texts.toml`."""

    TYPE = "type"  # not one of the kinds, or not what its name says
    SIZE = "size"
    EMPTY = "empty"
    MANY = "many"  # at once
    MOST = "most"  # with one request
    FULL = "full"  # on one file
    UNREADABLE = "unreadable"
    PROTECTED = "protected"  # by a password
    ACTIVE = "active"  # scripts, macros, programs or files inside
    UNPACKED = "unpacked"  # far larger once unpacked
    PIXELS = "pixels"
    ROOM = "room"  # no room to keep it
    BUSY = "busy"  # too many are being looked at
    OFTEN = "often"  # too many from one network


class FileRefusedError(Exception):
    """A file is not taken. `name` is as the person knows it."""

    def __init__(self, reason: FileRefusal, name: str = "") -> None:
        super().__init__(reason)
        self.reason, self.name = reason, name


@dataclass(frozen=True)
class Checked:
    """A file that may be kept: its name made clean, its kind, and its bytes as they will be kept."""

    name: str
    kind: FileKind
    content: bytes


def clean_name(sent: str) -> str:
    r"""The name of a file as a text: no folder, no sign that hides or turns others, not too long; its extension stays.

    >>> clean_name("C:\Bureau\Plan d’affaires.PDF")
    'Plan d’affaires.PDF'
    """
    last = re.split(r"[/\\]", sent.replace("\ufffd", ""))[-1]
    shown = "".join(sign for sign in unicodedata.normalize("NFC", last[:1000]) if unicodedata.category(sign)[0] != "C")
    stem, dot, extension = " ".join(shown.split()).rstrip(". ").rpartition(".")
    if not dot:
        return extension[:LONGEST_NAME] or "document"
    extension = extension[:20]
    return f"{stem[: LONGEST_NAME - len(extension) - 1].strip() or 'document'}.{extension}"


def kind_of(name: str) -> FileKind | None:
    """The kind that a clean name says, by its last extension; None when it is not accepted, or hides another behind a dot.

    >>> kind_of("plan.docx"), kind_of("photo.JPEG"), kind_of("plan.pdf.exe"), kind_of("plan.exe.pdf"), kind_of("v1.2.pdf")
    (<FileKind.DOCX: 'docx'>, <FileKind.JPEG: 'jpg'>, None, None, <FileKind.PDF: 'pdf'>)
    """
    _, *dotted = [part.strip().lower() for part in name.split(".")]
    if not dotted or any(part in _DANGEROUS for part in dotted):
        return None
    last = "jpg" if dotted[-1] == "jpeg" else dotted[-1]
    return next((kind for kind in FileKind if kind == last), None)
