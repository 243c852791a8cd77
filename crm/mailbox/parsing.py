"""What a received e-mail is and says. Pure: an e-mail in, facts out; it believes nothing.

Whoever wrote it may have wished us ill: every step takes a time that grows with its length and no faster, and no header, part or sign makes it raise.
Libraries' own readings of subjects, texts and HTML do neither: only their taking apart into parts and headers is used.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from enum import StrEnum
from io import BytesIO

from crm.formats import read_email

LONGEST = 64_000  # characters of a text that are kept
LONGEST_SOURCE = 4 * LONGEST  # bytes of a part that are read for it
LONGEST_HEADER = 1_000  # characters of a header that are read
LONGEST_ANNOUNCEMENT = 400  # characters of "… wrote:"
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# The headers in which a mark of ours may stand, those of what a report quotes included.
MARKED = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "in-reply-to", "references")


class Sort(StrEnum):
    """What kind of e-mail it is."""

    WORDS = "words"  # somebody wrote
    RETURNED = "returned"  # a server reports that a message could not be delivered (RFC 3464)
    DELAYED = "delayed"  # a server reports that it still tries
    AUTOMATIC = "automatic"  # a program answered or wrote (RFC 3834); a report of delivery too


@dataclass(frozen=True)
class Attached:
    """A file that came with an e-mail."""

    name: str
    content: bytes

    def stream(self) -> BytesIO:
        return BytesIO(self.content)


@dataclass(frozen=True)
class Incoming:
    """`marks` are the headers where a mark of ours may stand. `text` is all that was written, `said` what is new in it. `report` is what a
    server said of a message that it did not deliver.
    """

    sort: Sort
    from_address: str
    from_name: str
    subject: str
    marks: str
    text: str
    said: str
    attached: tuple[Attached, ...]
    report: str = ""
    key: str = ""  # what the sender's program calls it, and when it was written


def read(mail: Message) -> Incoming:
    """The facts of an e-mail, whole or of its headers alone."""
    sort, report, quoted = _report(mail)
    if sort is None:
        sort = Sort.AUTOMATIC if _by_itself(mail) else Sort.WORDS
    parts = list(_leaves(mail))
    markup = "\n".join(_words_of(one) for one in parts if _is_text(one, "text/html"))
    plain = "\n".join(_words_of(one) for one in parts if _is_text(one, "text/plain"))
    text = cleaned(plain if plain.strip() else text_of_html(markup))[:LONGEST]
    name, address = _sender(mail)
    return Incoming(
        sort=sort,
        from_address=read_email(address) or "",
        from_name=cleaned(_decoded(name))[:200],
        subject=cleaned(_header(mail, "subject"))[:300],
        marks="\n".join([*(one for name in MARKED for one in _raw(mail, name, 20 * LONGEST_HEADER)), quoted]),
        text=text,
        said=new_part(text),
        attached=tuple(_attached(one) for one in parts if _is_attached(one, markup)),
        report=report,
        key="\n".join([*_raw(mail, "message-id"), *_raw(mail, "date")]),
    )


def _sender(mail: Message) -> tuple[str, str]:
    """(name, address) of the one who is said to have sent it; nobody where several are, or none."""
    try:
        found = getaddresses(_raw(mail, "from")[:1])
    except Exception:  # noqa: BLE001 - as below
        return "", ""
    return found[0] if len(found) == 1 else ("", "")


def _raw(mail: Message, name: str, most: int = LONGEST_HEADER) -> list[str]:
    """Each header of a name as it stands, without its folds."""
    return [" ".join(str(value)[:most].split()) for value in mail.get_all(name, [])]


def _header(mail: Message, name: str) -> str:
    """A header's words; as it stands where its encoding is wrong."""
    (said, *_rest) = (*_raw(mail, name), "")
    return _decoded(said)


def _decoded(said: str) -> str:
    try:
        return " ".join(str(make_header(decode_header(said))).split())
    except Exception:  # noqa: BLE001 - the library raises of its own, of `binascii` and of each codec
        return said


def _leaves(mail: Message) -> Iterator[Message]:
    """The parts of an e-mail that hold something, those of an e-mail that is attached to it not among them."""
    waiting = [mail]
    while waiting:
        part = waiting.pop()
        for name in ("Content-Type", "Content-Disposition"):
            if len(str(part.get(name, ""))) > LONGEST_HEADER and not part.is_multipart():
                del part[name]  # what reads its parameters takes a time that grows with the square of its length
        inside = part.get_payload()
        if isinstance(inside, list) and part.get_content_maintype() == "multipart":
            waiting += reversed([one for one in inside if isinstance(one, Message)])
        else:
            yield part


def _is_text(part: Message, kind: str) -> bool:
    return part.get_content_type() == kind and part.get_content_disposition() != "attachment" and not _named(part)


def _words_of(part: Message) -> str:
    """The text of a part, its beginning if it is long."""
    content = _bytes_of(part)[:LONGEST_SOURCE]
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _bytes_of(part: Message) -> bytes:
    if not isinstance(part.get_payload(), str):
        return b"".join(bytes(one) for one in _parts(part))
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _named(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except Exception:  # noqa: BLE001 - as for headers
        return "?"


def _is_attached(part: Message, markup: str) -> bool:
    """Whether a part is a document: a picture that the text shows, such as the logo under a signature, is none."""
    shown = str(part.get("Content-ID", "")).strip("<> ")[:LONGEST_HEADER]
    disposition = part.get_content_disposition()
    if disposition != "attachment" and part.get_content_maintype() == "image" and shown and f"cid:{shown}" in markup:
        return False
    return bool(_named(part)) or disposition == "attachment" or part.get_content_type() == "message/rfc822"


def _attached(part: Message) -> Attached:
    name = cleaned(" ".join(_decoded(_named(part)[:LONGEST_HEADER]).split()))[:200]
    by_default = "courriel.eml" if part.get_content_maintype() == "message" else "sans-nom"
    return Attached(name or by_default, _bytes_of(part))


def cleaned(words: str) -> str:
    r"""Words without what databases and pages do not take, their line ends alike.

    >>> cleaned("a\x00b\r\nc")
    'ab\nc'
    """
    return _UNSEEN.sub("", words.replace("\r\n", "\n").replace("\r", "\n"))


# --- who wrote it ----------------------------------------------------------------------------------------------------


def _by_itself(mail: Message) -> bool:
    """Whether a program wrote it. Nothing that a person sends has these headers; none of them is ever a reason to believe something."""

    def said(name: str) -> str:
        return " ".join(_raw(mail, name)).lower()

    return (
        (said("auto-submitted") or "no").split(";")[0].strip() != "no"
        or said("return-path") == "<>"
        or said("precedence") == "auto_reply"
        or "x-autoreply" in mail
        or "x-autorespond" in mail
    )


def _report(whole: Message) -> tuple[Sort | None, str, str]:
    """For a report (of delivery, of reading): what became of the message, what the server said, and the headers of the message it is about."""
    if whole.get_content_type() != "multipart/report" and "report-type=delivery-status" not in str(
        whole["Content-Type"]
    ):
        return None, "", ""
    action, said, quoted = "", "", []
    for part in _parts(whole):
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            for group in _parts(part):
                if group.get("Action") and action != "failed":
                    action = " ".join(_raw(group, "action")).lower()
                    why = " ".join(_raw(group, "diagnostic-code")).partition(";")[2]
                    said = " ".join(f"{' '.join(_raw(group, 'status'))} {why}".split())
        elif kind == "text/rfc822-headers":
            quoted.append(_words_of(part))
        elif kind == "message/rfc822":
            quoted += [f"Message-ID: {one}" for inside in _parts(part) for one in _raw(inside, "message-id")]
    sort = {"failed": Sort.RETURNED, "delayed": Sort.DELAYED}.get(action, Sort.AUTOMATIC)
    return sort, cleaned(said)[:300], "\n".join(quoted)[:LONGEST]


def _parts(whole: Message) -> list[Message]:
    inside = whole.get_payload()
    return [one for one in inside if isinstance(one, Message)] if isinstance(inside, list) else []


# --- what it says ----------------------------------------------------------------------------------------------------

_BEFORE_A_DATE = ("le ", "on ", "am ")
_WROTE = ("a écrit", "wrote", "schrieb")
_WHEN = re.compile(r"\b(19|20)\d\d\b|\b\d{1,2} ?[:h] ?\d\d")
_SEPARATORS = ("message d'origine", "message d’origine", "original message", "message transféré", "forwarded message")
_FROM = re.compile(r"[*_ >]*(de|from|expéditeur)[* ]*:", re.IGNORECASE)
_NEXT_TO_FROM = re.compile(r"[*_ >]*(envoyé|date|sent|à|to|objet|subject)( le)?[* ]*:", re.IGNORECASE)


def new_part(text: str) -> str:
    r"""What somebody wrote above the message they answer; everything where answers stand between its lines, or under it.

    >>> new_part("Oui, mardi.\n\nLe 3 mars 2026 à 10:12, Passerelle a écrit :\n> Bonjour\n> Texte")
    'Oui, mardi.'
    >>> new_part("Yes.\n\nFrom: Passerelle\nSent: Friday\nSubject: Hello\n\nHello")
    'Yes.'
    >>> new_part("On Friday, Passerelle wrote:\n> Which day?\nTuesday")
    'On Friday, Passerelle wrote:\n> Which day?\nTuesday'
    """
    lines = text.split("\n")
    marked = [line.lstrip().startswith(">") for line in lines]
    news = _last(line.strip() and not mark for line, mark in zip(lines, marked, strict=True))
    quotes = _last(marked)
    for number, line in enumerate(lines):
        if not line.strip() or len(line) > LONGEST_ANNOUNCEMENT:
            continue
        # After "… wrote:" every line is marked, to the end; under the header of a message none is.
        wrote = _announced(lines, number)
        if (wrote and news < wrote) or (_begins_a_message(lines, number) and quotes < number):
            return _without_quotes("\n".join(lines[:number])) or text.strip()
    return _without_quotes(text) or text.strip()


def _last(true: Iterable[object]) -> int:
    """The place of the last that is true; -1 when none is."""
    return max((place for place, one in enumerate(true) if one), default=-1)


def _announced(lines: list[str], number: int) -> int:
    """The line after "On …, somebody wrote:", which programs break into up to three; 0 when it does not stand here."""
    begun = lines[number].lstrip(" >*\t").lower()
    if not begun.startswith(_BEFORE_A_DATE):
        return 0
    for length in (1, 2, 3):
        said = " ".join(line.lstrip("> ") for line in lines[number : number + length]).strip().lower()
        if len(said) <= LONGEST_ANNOUNCEMENT and said.endswith(":") and said.rstrip(" :\u00a0\u202f*").endswith(_WROTE):
            return number + length if _WHEN.search(said) else 0
    return 0


def _begins_a_message(lines: list[str], number: int) -> bool:
    """Whether the header of an earlier message, or the line that announces it, stands here."""
    line = lines[number]
    if "--" in line and line.strip(" -*\t").lower() in _SEPARATORS:
        return True
    if line.strip().startswith("_____") and not line.strip("_ \t"):
        return number + 1 < len(lines) and _FROM.match(lines[number + 1]) is not None
    following = lines[number + 1 : number + 5]
    return _FROM.match(line) is not None and sum(_NEXT_TO_FROM.match(one) is not None for one in following) > 1


def _without_quotes(text: str) -> str:
    """A text without the marked lines at its end."""
    lines = text.rstrip().split("\n")
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith(">")):
        lines.pop()
    return "\n".join(lines).strip()


_BLOCKS = frozenset({"p", "div", "br", "li", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "hr", "blockquote"})
_WORDLESS = ("style", "script", "title")


def text_of_html(markup: str) -> str:
    r"""The words of an e-mail that has no plain text, a line for each block; no style, no script, nothing fetched.

    >>> text_of_html("<style>p{}</style><p>Bonjour</p><div>Oui &amp; non</div><blockquote>Avant</blockquote>")
    'Bonjour\nOui & non\n> Avant'
    """
    markup = _without(markup[:LONGEST_SOURCE], "<!--", "-->")
    for name in _WORDLESS:
        markup = _without(markup, f"<{name}", f"</{name}")
    first, *tagged = markup.split("<")
    words, quoted = [_spaced(first)], 0
    for piece in tagged:
        tag, closed, said = piece.partition(">")
        if not closed or not (tag[:1].isalpha() or tag[:1] in {"/", "!", "?"}):
            words.append(_spaced(f"<{piece}"))
            continue
        kind = "".join(tag[:20].strip("/ \t\r\n").lower().split(maxsplit=1)[:1]).rstrip("/")
        if kind == "blockquote":
            quoted = max(0, quoted - 1) if tag.startswith("/") else quoted + 1
        if kind in _BLOCKS:
            words.append("\n" + "> " * min(quoted, 5))
        words.append(_spaced(said))
    lines = [" ".join(line.split()) for line in html.unescape("".join(words)).split("\n")]
    return "\n".join(line for line in lines if line.strip("> ")).strip()


def _without(markup: str, begins: str, ends: str) -> str:
    """Markup without what stands between two signs, whatever their capitals; what is never closed stays."""
    lower, place = markup.lower(), 0
    kept: list[str] = []
    if len(lower) != len(markup):  # a few letters have no lower case of one sign
        lower = markup
    while (start := lower.find(begins, place)) >= 0 and (end := lower.find(ends, start)) >= 0:
        kept.append(markup[place:start])
        place = end + len(ends)
        if not ends.endswith(">"):
            place = lower.find(">", place) + 1 or len(markup)
    return "".join([*kept, markup[place:]])


def _spaced(words: str) -> str:
    """Words with one space where there was any."""
    return re.sub(r"\s+", " ", words)
