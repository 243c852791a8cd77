"""What a received e-mail is and says. Pure: an e-mail in, facts out; it believes nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING, cast

from crm.formats import read_email

if TYPE_CHECKING:  # the web, which shows e-mails, does not read any
    from email.message import Message

    from imap_tools import MailMessage

LONGEST = 64_000  # characters of a text that are kept
LONGEST_ANNOUNCEMENT = 400  # characters of "… wrote:"; bounds the work of the expressions below
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


def read(mail: "MailMessage") -> Incoming:
    """The facts of an e-mail, whole or of its headers alone."""
    headers = cast("dict[str, tuple[str, ...]]", mail.headers)
    sort, report, quoted = _report(mail.obj)
    if sort is None:
        sort = Sort.AUTOMATIC if _by_itself(headers) else Sort.WORDS
    text = cleaned(mail.text if mail.text.strip() else text_of_html(mail.html))[:LONGEST]
    sender = mail.from_values
    address = read_email(sender.email if sender else "") or ""
    return Incoming(
        sort=sort,
        from_address=address,
        from_name=cleaned(" ".join((sender.name if sender else "").split()))[:200],
        subject=cleaned(" ".join(mail.subject.split()))[:300],
        marks="\n".join([*(one for name in MARKED for one in headers.get(name, ())), quoted]),
        text=text,
        said=new_part(text),
        attached=tuple(
            Attached(cleaned(" ".join(one.filename.split()))[:200] or "sans-nom", one.payload)
            for one in mail.attachments
            # A picture that the text shows, such as the logo under a signature, is no document.
            if one.filename and not (one.content_id and one.content_type.startswith("image/"))
        ),
        report=report,
        key="\n".join([*headers.get("message-id", ()), *headers.get("date", ())]),
    )


def cleaned(words: str) -> str:
    r"""Words without what databases and pages do not take, their line ends alike.

    >>> cleaned("a\x00b\r\nc")
    'ab\nc'
    """
    return _UNSEEN.sub("", words.replace("\r\n", "\n").replace("\r", "\n"))


# --- who wrote it ----------------------------------------------------------------------------------------------------


def _by_itself(headers: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a program wrote it. Nothing that a person sends has these headers; none of them is ever a reason to believe something."""
    said = {name: " ".join(values).strip().lower() for name, values in headers.items()}
    return (
        said.get("auto-submitted", "no").split(";")[0].strip() != "no"
        or said.get("return-path") == "<>"
        or said.get("precedence") == "auto_reply"
        or "x-autoreply" in said
        or "x-autorespond" in said
    )


def _report(whole: "Message") -> tuple[Sort | None, str, str]:
    """For a report (of delivery, of reading): what became of the message, what the server said, and the headers of the message it is about."""
    if whole.get_content_type() != "multipart/report" and str(whole.get_param("report-type")) != "delivery-status":
        return None, "", ""
    action, said, quoted = "", "", []
    for part in whole.walk():
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            for group in _parts(part):
                if group.get("Action") and action != "failed":
                    action = str(group["Action"]).strip().lower()
                    why = str(group.get("Diagnostic-Code", "")).partition(";")[2]
                    said = " ".join(f"{group.get('Status', '')} {why}".split())
        elif kind == "text/rfc822-headers":
            quoted.append(str(part.get_payload()))
        elif kind == "message/rfc822":
            quoted += [f"Message-ID: {one.get('Message-ID', '')}" for one in _parts(part)]
    sort = {"failed": Sort.RETURNED, "delayed": Sort.DELAYED}.get(action, Sort.AUTOMATIC)
    return sort, cleaned(said)[:300], "\n".join(quoted)[:LONGEST]


def _parts(whole: "Message") -> list["Message"]:
    inside = whole.get_payload()
    return [one for one in inside if not isinstance(one, str)] if isinstance(inside, list) else []


# --- what it says ----------------------------------------------------------------------------------------------------

_WROTE = re.compile(r"^\W*(le|on|am)\b.{5,300}(a écrit|wrote|schrieb)\W*:?\W*$", re.IGNORECASE | re.DOTALL)
_SEPARATOR = re.compile(
    r"^\W*-{2,}\W*(message d.origine|original message|message transféré|forwarded message)\W*$", re.IGNORECASE
)
_FROM = re.compile(r"^\W*(de|from|expéditeur)\W*:", re.IGNORECASE)
_NEXT_TO_FROM = re.compile(r"^\W*(envoyé|date|sent|à|to|objet|subject)( le)?\W*:", re.IGNORECASE)
_RULE = re.compile(r"^\s*_{10,}\s*$")


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
    for number in range(len(lines)):
        quoted = _quoted_from(lines, number)
        if quoted is not None and _nothing_new(lines[quoted:]):
            above = _without_quotes("\n".join(lines[:number]))
            return above or text.strip()
    return _without_quotes(text) or text.strip()


def _quoted_from(lines: list[str], number: int) -> int | None:
    """Where the message that is answered begins, if this line announces it: after the announcement."""
    line = lines[number]
    if not line.strip() or len(line) > LONGEST_ANNOUNCEMENT:
        return None
    for length in (1, 2, 3):  # programs break a long line
        said = " ".join(lines[number : number + length])
        if len(said) <= LONGEST_ANNOUNCEMENT and _WROTE.match(said):
            return number + length
    if _SEPARATOR.match(line):
        return number + 1
    if _RULE.match(line) and number + 1 < len(lines) and _FROM.match(lines[number + 1][:LONGEST_ANNOUNCEMENT]):
        return number + 1
    if (
        _FROM.match(line)
        and sum(bool(_NEXT_TO_FROM.match(one[:LONGEST_ANNOUNCEMENT])) for one in lines[number + 1 : number + 5]) > 1
    ):
        return number + 1
    return None


def _nothing_new(lines: list[str]) -> bool:
    """Whether what follows is all of the earlier message: marked line by line to its end, or not marked at all."""
    written = [line for line in lines if line.strip()]
    marked = [line.lstrip().startswith(">") for line in written]
    return not any(marked) or all(marked)


def _without_quotes(text: str) -> str:
    """A text without the marked lines at its end."""
    lines = text.rstrip().split("\n")
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith(">")):
        lines.pop()
    return "\n".join(lines).strip()


class _Words(HTMLParser):
    """The words of an HTML text, a line for each block; no style, no script, nothing fetched."""

    BLOCKS = frozenset({"p", "div", "br", "li", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "hr"})
    UNSEEN = frozenset({"style", "script", "head", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = self.quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.hidden += tag in self.UNSEEN and tag != "br"
        self.quoted += tag == "blockquote"
        if tag in self.BLOCKS or tag == "blockquote":
            self._line()

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - (tag in self.UNSEEN))
        if tag == "blockquote":
            self._line()
            self.quoted = max(0, self.quoted - 1)
        elif tag in {"p", "div", "li", "tr", "h1", "h2", "h3", "h4"}:
            self._line()

    def _line(self) -> None:
        self.parts.append("\n" + "> " * min(self.quoted, 5))

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))


def text_of_html(html: str) -> str:
    r"""The words of an e-mail that has no plain text.

    >>> text_of_html("<style>p{}</style><p>Bonjour</p><div>Oui &amp; non</div><blockquote>Avant</blockquote>")
    'Bonjour\nOui & non\n> Avant'
    """
    words = _Words()
    words.feed(html[: 10 * LONGEST])
    words.close()
    lines = [line.strip() for line in "".join(words.parts).split("\n")]
    return "\n".join(line for line in lines if line and line != ">").strip()
