"""What is accepted and what is not, by the limits of the security reference, section 5.8: real bytes, judged for real."""

import io
import os
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crm.files import inspection, services
from crm.files.kinds import ENTRIES, LARGEST, LONGEST_NAME, FileKind, FileRefusal, FileRefusedError, clean_name, kind_of
from tests.support import papers
from tests.support.papers import SECRET

COUNTED = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-I", "-m", "crm.files.inspection", sys.argv[1]])
print("\\n%d" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, end="")
"""


def judged(kind, content):
    """The reason against a file, or the bytes that would be kept."""
    try:
        return inspection.inspect(FileKind(kind), content)
    except FileRefusedError as refused:
        return refused.reason
    except Exception:
        return FileRefusal.UNREADABLE  # as the process answers


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("plan.pdf", "plan.pdf"),
        ("C:\\Bureau\\Plan d’affaires.PDF", "Plan d’affaires.PDF"),
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("plan\u202efdp.exe", "planfdp.exe"),
        ("a\r\nBcc: x.pdf", "aBcc: x.pdf"),
        ("  plan   final .pdf ", "plan final.pdf"),
        ("...", "document"),
        (".pdf", "document.pdf"),
        ("x\x00.pdf", "x.pdf"),
        ("\ud800.pdf", "document.pdf"),
        ("e\u0301te\u0301.pdf", "été.pdf"),
    ],
)
def test_a_name_is_a_text_and_nothing_else(sent, shown):
    assert clean_name(sent) == shown


@given(st.text(max_size=400))
@settings(max_examples=300)
def test_no_name_leads_anywhere(sent):
    shown = clean_name(sent)
    assert 0 < len(shown) <= LONGEST_NAME
    assert not set(shown) & set("/\\\r\n\0\t")
    assert shown == shown.strip()
    assert clean_name(shown) == shown


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("plan.pdf", "pdf"), ("PLAN.PDF", "pdf"), ("photo.jpeg", "jpg"), ("photo.JPG", "jpg"), ("v1.2.final.docx", "docx"),
        ("plan", None), ("plan.pdf.exe", None), ("plan.exe.pdf", None), ("dessin.svg", None), ("page.html", None),
        ("macro.docm", None), ("vieux.xls", None), ("archive.zip", None), ("plan.js.pdf", None), ("plan.pdf.", None),
    ],
)  # fmt: skip
def test_the_kind_is_said_by_the_last_dot_and_hidden_by_none(name, kind):
    assert kind_of(name) == kind


# --- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("pdf", papers.pdf()),
        ("pdf", papers.pdf(user_password="", owner_password="propriétaire")),
        ("pdf", papers.pdf_with_stream(b"PK\x05\x06" + b"x" * 5000)),
        ("docx", papers.docx()),
        (
            "docx",
            papers.docx(word___rels__document_dot_xml_dot_rels=papers.relation("hyperlink", "https://exemple.ca")),
        ),
        ("xlsx", papers.xlsx()),
        ("pdf", papers.pdf_by_hand()),
        ("docx", papers.docx(word__embeddings__Microsoft_Excel_dot_xlsx=papers.xlsx())),
    ],
)
def test_an_ordinary_document_is_kept_as_it_is(kind, content):
    assert judged(kind, content) == content


HOSTILE = {
    "a drawing under another name": ("png", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "type"),
    "a page under another name": ("pdf", b"<html><script>alert(1)</script></html>", "type"),
    "a program under another name": ("pdf", b"MZ\x90" + b"\0" * 500, "type"),
    "EICAR's test under another name": ("pdf", b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR", "type"),
    "a PDF that begins late": ("pdf", b"<html>" + papers.pdf(), "type"),
    "a package behind a PDF": ("pdf", papers.pdf() + papers.docx() * 10, "type"),
    "a cut PDF": ("pdf", papers.pdf()[:200], "unreadable"),
    "a script": ("pdf", papers.pdf_with_script(), "active"),
    "a script that no search finds": ("pdf", papers.pdf_with_hidden_script(), "active"),
    "a script that no table names": ("pdf", papers.pdf_with_hidden_script(named=False), "active"),
    "a launch": ("pdf", papers.pdf_that_launches(), "active"),
    "a file inside": ("pdf", papers.pdf_with_a_file_inside(), "active"),
    "a launch that the table hides": ("pdf", papers.pdf_by_hand(papers.LAUNCH, free=(4,)), "active"),
    "short rows in the table": ("pdf", papers.pdf_by_hand(papers.LAUNCH, free=(4,), row=b"%010d 00000 n\n"), "active"),
    "a table that begins at one": ("pdf", papers.pdf_by_hand(papers.LAUNCH, free=(4,), table=b"1 %d"), "active"),
    "an earlier table that is none": ("pdf", papers.pdf_by_hand(papers.LAUNCH, free=(4,), trailer=b"/Prev 3 "), "active"),
    "a second object of the same number": ("pdf", papers.pdf_by_hand(shift=4, after=b"4 0 obj\n" + papers.LAUNCH + b"\nendobj\n"), "active"),
    "a form with its own scripts": ("pdf", papers.pdf_with_form_script(), "active"),
    "arrays without end": ("pdf", papers.pdf_of_deep_arrays(), "unreadable"),
    "a PDF under a password": ("pdf", papers.pdf(user_password="secret"), "protected"),
    "no PNG": ("png", b"\x89PNG\r\n\x1a\n" + b"x" * 50, "unreadable"),
    "900 million pixels": ("png", papers.png_of(30_000, 30_000), "pixels"),
    "one pixel too many": ("png", papers.png_of(40_000_001, 1), "pixels"),
    "a JPEG named PNG": ("png", papers.jpeg(), "type"),
    "macros": ("docx", papers.docx(word__vbaProject_dot_bin=b"x"), "active"),
    "macros by type": ("docx", papers.docx(types="<x ContentType='application/vnd.ms-word.document.macroEnabled.main+xml'/>"), "active"),
    "old macros": ("xlsx", papers.xlsx(xl__macrosheets__sheet1_dot_xml=b"x"), "active"),
    "a program inside": ("docx", papers.docx(word__embeddings__oleObject1_dot_bin=b"x"), "active"),
    "a template fetched": ("docx", papers.docx(word___rels__settings_dot_xml_dot_rels=papers.relation("attachedTemplate", "http://x/")), "active"),
    "a program under another folder": ("docx", papers.docx(word___rels__document_dot_xml_dot_rels=papers.relation("oleObject", "media/x.dat", "Internal")), "active"),
    "another kind of content brought in": ("docx", papers.docx(word___rels__document_dot_xml_dot_rels=papers.relation("aFChunk", "x.html", "Internal")), "active"),
    "a program among the embedded": ("docx", papers.docx(word__embeddings__evil_dot_scr=b"MZ"), "active"),
    "a picture fetched": ("docx", papers.docx(word___rels__document_dot_xml_dot_rels=papers.relation("image", "//10.0.0.1/x.png")), "active"),
    "relations in capitals": ("docx", papers.docx(word___rels__settings_dot_xml_dot_RELS=papers.relation("attachedTemplate", "http://x/")), "active"),
    "a command for another program": ("xlsx", papers.xlsx(xl__externalLinks__externalLink1_dot_xml=b"<x><ddeLink ddeService='cmd'/></x>"), "active"),
    "a field that runs a command": ("docx", papers.docx(word__footer1_dot_xml=b"<w:instrText>DDEA</w:instrText><w:instrText x='1'>UTO c:\\cmd</w:instrText>"), "active"),
    "another writing": ("docx", papers.docx(word___rels__a_dot_rels="<x/>".encode("utf-16")), "unreadable"),
    "a part that grows a thousand times": ("docx", papers.docx(word__a_dot_xml=b"\0" * 2_000_000), "unpacked"),
    "entities": ("docx", papers.docx(word___rels__a_dot_rels="<!DOCTYPE x [<!ENTITY a 'b'>]><x/>"), "unreadable"),
    "a sheet named text": ("docx", papers.xlsx(), "type"),
    "an archive named text": ("docx", b"PK\x03\x04" + b"\0" * 40, "unreadable"),
    "the old format": ("docx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "protected"),
    "nothing": ("pdf", b"", "empty"),
    "a byte too many": ("pdf", b"%PDF-" + b"x" * (LARGEST - 4), "size"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_what_it_says_is_refused_for_its_reason(name):
    kind, content, reason = HOSTILE[name]
    assert judged(kind, content) == reason


def test_a_package_of_too_many_parts_is_not_opened():
    most = {f"word__p{number}": b"" for number in range(ENTRIES - 2)}
    package = papers.docx(**most)  # made once: a package holds the second it was made in
    assert judged("docx", package) == package
    assert judged("docx", papers.docx(one_more=b"", **most)) == FileRefusal.UNPACKED


def test_a_package_that_lies_about_its_size_is_not_believed():
    honest = papers.docx(word__a_dot_xml=b"a" * 5000)
    with zipfile.ZipFile(io.BytesIO(honest)) as package:
        part = package.getinfo("word/a.xml")
    lying = honest.replace(part.file_size.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    assert judged("docx", lying) == FileRefusal.UNREADABLE


@pytest.mark.parametrize(
    ("kind", "content"), [("jpg", papers.jpeg()), ("png", papers.png()), ("png", papers.png(mode="LA"))]
)
def test_a_picture_is_drawn_anew_without_what_it_said_of_its_maker(kind, content):
    kept = judged(kind, content)
    assert SECRET in content
    assert SECRET not in kept
    image = Image.open(io.BytesIO(kept))
    assert image.size == (60, 40)
    assert not dict(image.getexif())
    assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "transparency"}


def test_a_picture_held_sideways_stands_up_once_that_is_forgotten():
    assert Image.open(io.BytesIO(judged("jpg", papers.jpeg(turned=True)))).size == (40, 60)


# --- the process -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("dessin.svg", b"<svg/>", "type"),
        ("script.pdf", papers.pdf_with_script(), "active"),
        ("rien.pdf", b"", "empty"),
        ("coupé.png", papers.png()[:60], "unreadable"),
    ],
)
def test_the_reason_comes_out_of_the_process_with_the_name(name, content, reason):
    with pytest.raises(FileRefusedError) as refused:
        services.check(name, io.BytesIO(content))
    assert (refused.value.reason, refused.value.name) == (reason, name)


def test_what_may_be_kept_comes_out_of_the_process():
    checked = services.check("dossier/Plan.PDF", io.BytesIO(papers.pdf()))
    assert (checked.name, checked.kind, checked.content) == ("Plan.PDF", FileKind.PDF, papers.pdf())


def test_a_file_whose_reader_is_killed_is_refused_and_nothing_else(monkeypatch):
    """A reader that takes all the time it may is ended, as one that crashes is: the file could not be read."""
    monkeypatch.setattr(services, "LONGEST_LOOK", 0.001)
    with pytest.raises(FileRefusedError) as refused:
        services.check("plan.pdf", io.BytesIO(papers.pdf()))
    assert refused.value.reason == FileRefusal.UNREADABLE


def test_looks_take_turns_and_whoever_would_wait_too_long_is_asked_to_come_back(monkeypatch):
    """The one look is taken, a few wait for it, and the rest are told at once; afterwards all is as before."""
    monkeypatch.setattr(services, "LONGEST_WAIT", 0.01)
    with services._one_at_a_time, pytest.raises(FileRefusedError) as refused:
        services.check("plan.pdf", io.BytesIO(papers.pdf()))
    assert refused.value.reason == FileRefusal.BUSY
    held = [services._waiting.acquire(blocking=False) for _ in range(services.WAITING)]
    assert all(held)
    with pytest.raises(FileRefusedError) as refused:
        services.check("plan.pdf", io.BytesIO(papers.pdf()))
    assert refused.value.reason == FileRefusal.BUSY
    for _ in held:
        services._waiting.release()
    assert services.check("plan.pdf", io.BytesIO(papers.pdf())).name == "plan.pdf"


def test_without_a_process_to_be_had_the_file_is_refused_and_nothing_else(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileRefusedError) as refused:
        services.check("plan.pdf", io.BytesIO(papers.pdf()))
    assert refused.value.reason == FileRefusal.BUSY


def test_a_picture_that_would_grow_beyond_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(inspection, "LARGEST", len(papers.png()) - 1)
    with pytest.raises(FileRefusedError) as refused:
        inspection._picture(FileKind.PNG, papers.png(size=(3000, 3000), mode="1"))
    assert refused.value.reason == FileRefusal.SIZE


@pytest.mark.parametrize(("kind", "content"), [("png", papers.png_of(30_000, 30_000)), ("xlsx", papers.bomb())])
def test_a_bomb_takes_little_memory(kind, content, tmp_path):
    """Under 300 MiB, by the kernel's own count for that process.

    A small process starts it: a child's count begins with the peak of the process that started it, and these tests'
    own may be larger than the limit.
    """
    (tmp_path / "bomb").write_bytes(content)
    with (tmp_path / "bomb").open("rb") as bomb:
        counted = subprocess.run(
            [sys.executable, "-I", "-c", COUNTED, kind], stdin=bomb, capture_output=True, check=True
        )
    said, _, used = counted.stdout.rpartition(b"\n")
    assert said.startswith(b"no ")
    assert 0 < int(used) < 300 * 1024


def test_the_process_can_write_nothing_and_knows_no_setting_of_ours(tmp_path):
    """The limits are the process's own first act: what runs after them cannot write a file, nor take all memory."""
    probe = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from crm.files import inspection; inspection._shut_in()\n"
        "import os, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "print(sorted(name for name in os.environ if name.startswith('CRM_')))\n"
        "try:\n  open(sys.argv[2], 'wb').write(b'x' * 10_000); print('wrote')\n"
        "except OSError: print('refused')\n"
        "try:\n  bytearray(2 * 1024 ** 3); print('took')\n"
        "except MemoryError: print('refused')\n"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(inspection.__file__)))
    done = subprocess.run(
        [sys.executable, "-I", "-c", probe, root, tmp_path / "x"], check=False, capture_output=True, text=True, env={}
    )
    assert done.stdout.split("\n")[:3] == ["[]", "refused", "refused"], done.stderr
