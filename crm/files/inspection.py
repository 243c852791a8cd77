"""Reading a stranger's file, in a process of its own that can do little: no network of ours, no file, no other process, little memory.

Run as `python -I -m crm.files.inspection KIND`, with the file on standard input. It answers "ok" and the bytes to keep, or "no" and a
reason. What kills it, or what it cannot read, refuses the file and nothing else. Source: security reference, section 5.8 and T17.
"""

import io
import re
import resource
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

from crm.files.kinds import DECLARED, ENTRIES, LARGEST, PIXELS, RATIO, FileKind, FileRefusal, FileRefusedError

MEMORY, CPU_SECONDS = 768 * 1024 * 1024, 5
OLE = b"\xd0\xcf\x11\xe0"  # Office files under a password are wrapped in the old format
PIECE = 1 << 16
MOST_OBJECTS, DEEPEST = 200_000, 60
MAIN_PART = {FileKind.DOCX: "word/document.xml", FileKind.XLSX: "xl/workbook.xml"}
# Relations to something outside that an office program fetches or runs by itself.
_FETCHED = ("/attachedtemplate", "/frame", "/subdocument", "/image")
# Relations to a part that runs or brings in another kind of content, wherever that part stands.
_RUN = ("/oleobject", "/control", "/vbaproject", "/afchunk", "/activexcontrol", "/xlmacrosheet", "/ddelink")
_OFFICE = (".docx", ".xlsx", ".pptx")
_FIELDS = re.compile(rb"<w:instrText[^>]*>([^<]*)")
_ACTIVE_KEYS = frozenset(
    {"/JS", "/JavaScript", "/EmbeddedFiles", "/EF", "/RichMediaContent", "/RichMediaSettings", "/XFA"}
)
_ACTIVE_ACTIONS = frozenset({"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/RichMediaExecute", "/GoToE"})
_OBJECT = re.compile(rb"\b\d{1,10}\s+\d{1,5}\s+obj\b\s*")
_ACTIVE_BYTES = re.compile(rb"/(?:JavaScript|Launch|EmbeddedFile|RichMedia)\b")


def inspect(kind: FileKind, content: bytes) -> bytes:
    """The bytes to keep: the same, or a picture drawn anew without what it said of its maker. Raises FileRefusedError."""
    if not content:
        raise FileRefusedError(FileRefusal.EMPTY)
    if len(content) > LARGEST:
        raise FileRefusedError(FileRefusal.SIZE)
    return CHECKS[kind](kind, content)


# --- pictures --------------------------------------------------------------------------------------------------------


def _picture(kind: FileKind, content: bytes) -> bytes:
    """Decoded and drawn anew: what was hidden before, behind or beside the picture is gone, and where it was taken too."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - loaded here for pictures only: a PDF does not wait for it

    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, below
    name = "PNG" if kind is FileKind.PNG else "JPEG"
    if not content.startswith(b"\x89PNG\r\n\x1a\n" if name == "PNG" else b"\xff\xd8\xff"):
        raise FileRefusedError(FileRefusal.TYPE)
    image: Any = Image.open(io.BytesIO(content), formats=[name])
    if image.width * image.height > PIXELS:
        raise FileRefusedError(FileRefusal.PIXELS)
    image.load()
    if image.getexif().get(0x0112, 1) != 1:  # held sideways: turned before that is forgotten
        image = ImageOps.exif_transpose(image)
    image.info = {"transparency": image.info["transparency"]} if "transparency" in image.info else {}
    if name == "JPEG" and image.mode not in {"L", "RGB"}:
        image = image.convert("RGB")
    drawn = io.BytesIO()
    options: dict[str, Any] = {"compress_level": 3} if name == "PNG" else {"quality": 85}
    image.save(drawn, name, exif=b"", **options)
    if drawn.tell() > LARGEST:
        raise FileRefusedError(FileRefusal.SIZE)
    return drawn.getvalue()


# --- PDF -------------------------------------------------------------------------------------------------------------


def _pdf(_kind: FileKind, content: bytes) -> bytes:
    """A document to read: no script, no program, no file inside."""
    from pypdf import PdfReader  # noqa: PLC0415 - as above
    from pypdf.errors import FileNotDecryptedError  # noqa: PLC0415

    if not content.startswith(b"%PDF-"):
        raise FileRefusedError(FileRefusal.TYPE)
    _, end, after = content.rpartition(b"%%EOF")
    if not end:
        raise FileRefusedError(FileRefusal.UNREADABLE)
    if len(after.strip(b"\0 \t\r\n")) > 1024:
        raise FileRefusedError(FileRefusal.TYPE)  # something else begins behind it
    if _ACTIVE_BYTES.search(content):
        raise FileRefusedError(FileRefusal.ACTIVE)
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise FileRefusedError(FileRefusal.PROTECTED)
    try:
        pages = len(reader.pages)
    except FileNotDecryptedError:
        raise FileRefusedError(FileRefusal.PROTECTED) from None
    if not pages:
        raise FileRefusedError(FileRefusal.UNREADABLE)
    for found in _every_object(reader, content):
        for key, value in _entries(found):
            if (
                key in _ACTIVE_KEYS
                or (key == "/S" and value in _ACTIVE_ACTIONS)
                or value in {"/RichMedia", "/EmbeddedFile"}
            ):
                raise FileRefusedError(FileRefusal.ACTIVE)
    return content


def _every_object(reader: Any, content: bytes) -> Iterator[Any]:
    """The objects that the table names, then every one that stands in the bytes: readers mend a broken table each in its own way."""
    from pypdf.generic import IndirectObject, read_object  # noqa: PLC0415

    numbers = [(number, generation) for generation, found in reader.xref.items() for number in found]
    numbers += [(number, 0) for number in reader.xref_objStm]
    places = [found.end() for found in _OBJECT.finditer(content)]
    if len(numbers) + len(places) > MOST_OBJECTS:
        raise FileRefusedError(FileRefusal.UNREADABLE)
    for number, generation in numbers:
        yield reader.get_object(IndirectObject(number, generation, reader))
    stream = io.BytesIO(content)
    for place in places:
        stream.seek(place)
        found = read_object(stream, reader)
        yield found
        if isinstance(found, dict) and found.get("/Type") == "/ObjStm" and not reader.is_encrypted:
            yield from _packed(found, reader)


def _packed(stream: Any, reader: Any) -> Iterator[Any]:
    """The objects inside a compressed stream of objects."""
    from pypdf.generic import read_object  # noqa: PLC0415

    data = io.BytesIO(stream.get_data())
    numbers = [int(one) for one in data.read(int(stream["/First"])).split()]
    for offset in numbers[1::2]:
        data.seek(int(stream["/First"]) + offset)
        yield read_object(data, reader)


def _entries(item: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every name and value of an object's own parts; what stands elsewhere in the file is met by its own number."""
    if depth > DEEPEST:
        raise FileRefusedError(FileRefusal.UNREADABLE)
    if isinstance(item, dict):
        for key in item:
            value = item.raw_get(key)  # type: ignore[attr-defined]
            yield str(key), str(value) if isinstance(value, str) else None
            yield from _entries(value, depth + 1)
    elif isinstance(item, list):
        for value in item:
            yield from _entries(value, depth + 1)


# --- office files ----------------------------------------------------------------------------------------------------


def _office(kind: FileKind, content: bytes) -> bytes:
    """A text or a sheet that is what it says: judged by its list of parts before anything is unpacked, then unpacked with care."""
    if content.startswith(OLE):
        raise FileRefusedError(FileRefusal.PROTECTED)
    if not content.startswith(b"PK\x03\x04"):
        raise FileRefusedError(FileRefusal.TYPE)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = archive.infolist()
        declared = sum(part.file_size for part in parts)
        if len(parts) > ENTRIES or declared > DECLARED or declared > RATIO * len(content):
            raise FileRefusedError(FileRefusal.UNPACKED)
        names = {part.filename for part in parts}
        if len(names) != len(parts) or any(
            part.filename.startswith(("/", "\\")) or ".." in part.filename for part in parts
        ):
            raise FileRefusedError(FileRefusal.UNREADABLE)
        if "[Content_Types].xml" not in names or MAIN_PART[kind] not in names:
            raise FileRefusedError(FileRefusal.TYPE)
        if any(part.flag_bits & 1 for part in parts):
            raise FileRefusedError(FileRefusal.PROTECTED)
        if any(_runs(name.lower()) for name in names):
            raise FileRefusedError(FileRefusal.ACTIVE)
        for part in parts:
            _judge_part(part.filename.lower(), _unpacked(archive, part))
    return content


def _runs(name: str) -> bool:
    """Whether a part of an office file may hold a program, by its name in small letters."""
    if name.endswith("vbaproject.bin") or "/macrosheets/" in name or "/activex/" in name:
        return True
    return "/embeddings/" in name and not name.endswith(_OFFICE)


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    """Its bytes, as many as it says, and whole. What is not text is read through and not kept."""
    text = part.filename.lower().endswith((".xml", ".rels"))
    kept = []
    with archive.open(part) as unpacked:
        while piece := unpacked.read(PIECE):
            if text:
                kept.append(piece)
    return b"".join(kept)


def _judge_part(name: str, content: bytes) -> None:
    if name.endswith((".xml", ".rels")) and b"\0" in content[:PIECE]:
        raise FileRefusedError(FileRefusal.UNREADABLE)  # in another writing, where nothing below would be found
    if name == "[content_types].xml" and b"macroenabled" in content.lower():
        raise FileRefusedError(FileRefusal.ACTIVE)
    if b"ddeLink" in content or b"DDE" in b"".join(_FIELDS.findall(content)).upper():
        raise FileRefusedError(FileRefusal.ACTIVE)
    if name.endswith(".rels"):
        _no_fetching(content)


def _no_fetching(relations: bytes) -> None:
    if b"<!DOCTYPE" in relations or b"<!ENTITY" in relations:
        raise FileRefusedError(FileRefusal.UNREADABLE)
    for relation in ET.fromstring(relations):  # noqa: S314 - no entity was declared, memory and time are limited
        kind = relation.get("Type", "").lower()
        outside = relation.get("TargetMode", "").lower() == "external"
        if kind.endswith(_RUN) or (outside and kind.endswith(_FETCHED)):
            raise FileRefusedError(FileRefusal.ACTIVE)


CHECKS: dict[FileKind, Callable[[FileKind, bytes], bytes]] = {
    FileKind.PDF: _pdf,
    FileKind.PNG: _picture,
    FileKind.JPEG: _picture,
    FileKind.DOCX: _office,
    FileKind.XLSX: _office,
}


# --- the process -----------------------------------------------------------------------------------------------------


def _shut_in() -> None:
    """What this process may use, from here to its end."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def main() -> None:
    _shut_in()
    warnings.simplefilter("ignore")
    sys.stderr = io.StringIO()  # a library's complaints may quote the file
    try:
        kept = inspect(FileKind(sys.argv[1]), sys.stdin.buffer.read(LARGEST + 1))
        answer = b"ok\n" + kept
    except FileRefusedError as refused:
        answer = f"no {refused.reason}\n".encode()
    except Exception:  # noqa: BLE001 - whatever a library meets in a stranger's file, it could not be read
        answer = f"no {FileRefusal.UNREADABLE}\n".encode()
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
