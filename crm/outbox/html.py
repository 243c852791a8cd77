"""A message as HTML, made from its plain text: the same words, addresses that can be pressed, nothing fetched from anywhere. Pure."""

import re

from markupsafe import Markup, escape

from crm.i18n import LOCALES

# Up to a space or what ends a sentence; a sign of punctuation after an address is not part of it.
_ADDRESS = re.compile(r"(https?://[^\s<>\"]+?)(?=[.,;:!?)»”]*(?:\s|$))")
_LINE = re.compile(r"^(?:-|•|–)\s+")
_STYLE = (
    "margin:0 auto;max-width:36rem;padding:1rem;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;"
    "font-size:16px;line-height:1.5"
)


def as_html(subject: str, body: str, language: str) -> str:
    """A whole page. Blank lines part paragraphs; lines that begin with a dash are a list; an address becomes a link."""
    parts = (part for part in re.split(r"\n\s*\n", body.strip()) if part.strip())
    inside = Markup("\n").join(_part(part.strip("\n").split("\n")) for part in parts)
    page = Markup(
        '<!doctype html>\n<html lang="{}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"><title>{}</title></head>\n<body><div style="{}">\n{}\n</div></body></html>\n'
    )
    return str(page.format(LOCALES[language], subject, _STYLE, inside))


def _part(lines: list[str]) -> Markup:
    """A paragraph, with the list that follows it, if any: a line after one of its items goes on with it."""
    first = next((place for place, line in enumerate(lines) if _LINE.match(line)), len(lines))
    head = _paragraph(lines[:first]) if first else Markup("")
    items: list[list[str]] = []
    for line in lines[first:]:
        if _LINE.match(line):
            items.append([_LINE.sub("", line)])
        else:
            items[-1].append(line)
    if not items:
        return head
    listed = Markup("").join(Markup("<li>{}</li>").format(_lines(item)) for item in items)
    return head + Markup('<ul style="margin:0 0 1em;padding-left:1.25em">{}</ul>').format(listed)


def _lines(lines: list[str]) -> Markup:
    return Markup("<br>\n").join(_linked(line) for line in lines)


def _paragraph(lines: list[str]) -> Markup:
    return Markup('<p style="margin:0 0 1em">{}</p>').format(_lines(lines))


def _linked(line: str) -> Markup:
    pieces = _ADDRESS.split(line)
    return Markup("").join(
        Markup('<a href="{0}">{0}</a>').format(piece) if place % 2 else escape(piece)
        for place, piece in enumerate(pieces)
    )
