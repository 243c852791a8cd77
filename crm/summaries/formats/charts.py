"""A table drawn as bars, legible in black and white, as SVG. Made by Vega-Lite, without a browser and without a network."""

import re
from typing import Any

from crm.summaries.content import Grid

INK, BAR, GROUND = "#1b2a33", "#2f5d73", "#ffffff"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH = 340
_VERSION = "5.20"


def chart(grid: Grid) -> str | None:
    """Bars of the categories of which a number is told, the number beside each; None when fewer than two are. `role` and a name are for the page that shows it."""
    told = [row for row in grid.rows if row.value is not None]
    if len(told) < 2 or not any(row.value for row in told):
        return None
    import vl_convert  # noqa: PLC0415 - heavy, and only read when a summary is published

    data = [{"name": row.name, "number": row.value, "said": row.said} for row in told]
    svg = vl_convert.vegalite_to_svg(_spec(data), vl_version=_VERSION, show_warnings=False)
    return re.sub(
        r"\sstyle=\"[^\"]*\"", "", svg
    )  # a page's policy refuses styles in attributes; nothing here needs them


def _spec(data: list[dict[str, Any]]) -> dict[str, Any]:
    text = {"font": FONT, "fontSize": 13, "color": INK}
    y = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {
            "title": None,
            "labelLimit": 420,
            "labelFont": FONT,
            "labelFontSize": 13,
            "labelColor": INK,
            "ticks": False,
            "domainColor": INK,
        },
    }
    x = {"field": "number", "type": "quantitative", "axis": None, "scale": {"zero": True}}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "height": {"step": 26},
        "background": GROUND,
        "data": {"values": data},
        "encoding": {"y": y, "x": x},
        "layer": [
            {"mark": {"type": "bar", "color": BAR, "height": 16}},
            {
                "mark": {"type": "text", "align": "left", "dx": 5, **text},
                "encoding": {"text": {"field": "said", "type": "nominal"}},
            },
        ],
        "config": {"view": {"stroke": None}},
    }
