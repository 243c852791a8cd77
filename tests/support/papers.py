"""Documents as people send them, and as nobody should: made here, byte by byte, with nothing taken from anywhere."""

import io
import struct
import zipfile
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject, TextStringObject

SECRET = b"Appartement 4, rue Secrete"


def pdf(change=None, **encrypted) -> bytes:
    """One blank page; `change(writer)` adds to it."""
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    if change:
        change(writer)
    if encrypted:
        writer.encrypt(**encrypted)
    writer.write(out)
    return out.getvalue()


def _action(kind, key, value):
    def change(writer):
        action = DictionaryObject({NameObject("/S"): NameObject(kind), NameObject(key): TextStringObject(value)})
        writer._root_object[NameObject("/OpenAction")] = writer._add_object(action)

    return change


def pdf_with_script() -> bytes:
    return pdf(_action("/JavaScript", "/JS", "app.alert(1)"))


def pdf_that_launches() -> bytes:
    return pdf(_action("/Launch", "/F", "calc.exe"))


def pdf_with_a_file_inside() -> bytes:
    return pdf(lambda writer: writer.add_attachment("paye.exe", b"MZ"))


def pdf_with_hidden_script(*, named: bool = True) -> bytes:
    """The script's names are written with escapes, inside a compressed stream of objects: no search of the bytes finds them.

    Unless `named`, the table does not know the script either: a reader that mends tables would.
    """
    inner = b"<< /S /J#61vaScript /J#53 (app.alert\\(1\\)) >>"
    packed = zlib.compress(b"4 0 " + inner)
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R /OpenAction 4 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
    ]
    body, places = b"%PDF-1.5\n", {}
    for number, part in enumerate(parts, 1):
        places[number] = len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    places[5] = len(body)
    body += (
        b"5 0 obj\n<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\nendobj\n"
        % (
            len(packed),
            packed,
        )
    )
    start = len(body)
    rows = [struct.pack(">BHB", 0, 0, 0)]
    rows += [struct.pack(">BHB", 1, places[number], 0) for number in (1, 2, 3)]
    rows += [
        struct.pack(">BHB", 2, 5, 0) if named else struct.pack(">BHB", 0, 0, 0),
        struct.pack(">BHB", 1, places[5], 0),
        struct.pack(">BHB", 1, start, 0),
    ]
    table = b"".join(rows)
    body += b"6 0 obj\n<< /Type /XRef /Size 7 /W [1 2 1] /Root 1 0 R /Length %d >>\nstream\n%s\nendstream\nendobj\n" % (
        len(table),
        table,
    )
    return body + b"startxref\n%d\n%%%%EOF\n" % start


LAUNCH = b"<< /S /La#75nch /F (calc.exe) >>"
LINK = b"<< /S /URI /URI (https://exemple.ca) >>"


def pdf_by_hand(action=LINK, *, free=(), row=b"%010d 00000 n \n", table=b"0 %d", trailer=b"", shift=0, after=b""):
    """A page whose link does `action`, with a table of objects that may lie: readers mend it each in its own way."""
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Annots [5 0 R] >>",
        4: action,
        5: b"<< /Type /Annot /Subtype /Link /Rect [0 0 100 100] /A 4 0 R >>",
    }
    body, places = b"%PDF-1.5\n", {}
    for number, content in objects.items():
        places[number] = len(body)
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    body += after
    start = len(body)
    body += b"xref\n" + table % (len(objects) + 1) + b"\n0000000000 65535 f \n"
    for number, place in places.items():
        body += b"0000000000 65535 f \n" if number in free else row % (place + shift)
    return body + b"trailer\n<< /Size 6 /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (trailer, start)


def pdf_with_form_script():
    def change(writer):
        form = DecodedStreamObject()
        form.set_data(b"<script>app.alert(1)</script>")
        xfa = writer._add_object(form)
        writer._root_object[NameObject("/AcroForm")] = DictionaryObject({NameObject("/XFA"): xfa})

    return pdf(change)


def pdf_of_deep_arrays() -> bytes:
    def change(writer):
        nest = ArrayObject()
        for _ in range(200):
            nest = ArrayObject([nest])
        writer._root_object[NameObject("/Deep")] = nest

    return pdf(change)


def pdf_with_stream(content: bytes) -> bytes:
    def change(writer):
        stream = DecodedStreamObject()
        stream.set_data(content)
        writer._add_object(stream)

    return pdf(change)


def jpeg(size=(60, 40), turned=False) -> bytes:
    """A photograph that says where it was taken."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x010F] = SECRET.decode()
    exif[0x0112] = 6 if turned else 1
    exif.get_ifd(0x8825)[1] = "N"
    Image.linear_gradient("L").resize(size).convert("RGB").save(out, "JPEG", exif=exif, comment=SECRET)
    return out.getvalue() + SECRET


def png(size=(60, 40), mode="RGBA") -> bytes:
    out, said = io.BytesIO(), PngInfo()
    said.add_text("Author", SECRET.decode())
    Image.new(mode, size).save(out, "PNG", pnginfo=said)
    return out.getvalue() + SECRET


def png_of(width: int, height: int) -> bytes:
    """A picture that says it is that large, in seventy bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


def office(main="word/document.xml", types="<Types/>", **parts) -> bytes:
    """A text or a sheet as a package of parts; further ones are given by name, with __ for / and _dot_ for a dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", types)
        package.writestr(main, "<x/>")
        for name, content in parts.items():
            package.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return out.getvalue()


def docx(**parts) -> bytes:
    return office(**parts)


def xlsx(**parts) -> bytes:
    return office("xl/workbook.xml", **parts)


def relation(kind: str, target: str, mode: str = "External") -> str:
    return (
        f'<Relationships><Relationship Id="r1" TargetMode="{mode}" '
        f'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/></Relationships>'
    )


def bomb() -> bytes:
    """Half a megabyte that becomes five hundred."""
    out = io.BytesIO(xlsx())
    with (
        zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as package,
        package.open("xl/worksheets/sheet1.xml", "w") as sheet,
    ):
        for _ in range(500):
            sheet.write(b"\0" * 1024 * 1024)
    return out.getvalue()
