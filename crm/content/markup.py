"""Bodies of pages: Markdown without HTML, drawn by a library that lets nothing else through."""

import re
from collections.abc import Mapping
from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup


def quoted(values: Mapping[str, object]) -> dict[str, str]:
    """Facts as they stand in a body: signs that Markdown reads as its own mean themselves."""
    return {name: re.sub(r"([\\`*_{}\[\]()<>#+!|~-])", r"\\\1", str(value)) for name, value in values.items()}


@cache
def _markdown() -> MarkdownIt:
    """Headings, lists, emphasis and links; no HTML and no pictures. The library refuses links such as javascript:."""
    return MarkdownIt("commonmark", {"html": False}).disable(["image", "code", "fence"])


def drawn(body: str) -> Markup:
    """A body as HTML. Its headings begin at the second level: the page has its own title."""
    tokens = _markdown().parse(body)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{max(2, int(token.tag[1]))}"
    return Markup(_markdown().renderer.render(tokens, _markdown().options, {}))  # noqa: S704 - the library escapes
