"""French as Québec writes it: what a machine can check and mend of the domain reference, section 9. Pure."""

import re

NBSP = "\u00a0"
# (what is wrong, pattern, replacement or None where a person must decide)
RULES: tuple[tuple[str, str, str | None], ...] = (
    ("straight apostrophe", r"'", "’"),
    ("straight quotation mark", r'"', None),
    ("three points for an ellipsis", r"\.\.\.", "…"),
    ("no no-break space before a colon", r"(?<=[\w»)\]}]) :(?=\s|$)", NBSP + ":"),
    ("no space before a colon", r"(?<=[^\W\d_»)\]}])(?<!https)(?<!http)(?<!mailto):(?=\s|$)", NBSP + ":"),
    ("no no-break space before a per cent or dollar sign", r"(?<=[\d}]) ?(?=[%$](?!\())", NBSP),
    ("no no-break space inside « »", r"«[ ]?(?=[^\s])", "«" + NBSP),
    ("no no-break space inside « »", r"(?<=[^\s])[ ]?»", NBSP + "»"),
    ("space before ; ! ?", r"[ \u00a0\u202f]+(?=[;!?])", ""),
    (
        "banned word",
        r"(?i)\b(?:e-?mails?|mails?|éligibles?|adresser un problème|comité aviseur|référer)\b",
        None,
    ),
)


def problems(text: str) -> list[str]:
    """What is wrong in one French text, each with the few words around it."""
    found = []
    for what, pattern, _fix in RULES:
        if what == "banned word":
            text = re.sub(r"%?[{(]\w+[})]s?", "", text)  # names of placeholders are not French
        for match in re.finditer(pattern, text):
            around = text[max(0, match.start() - 15) : match.end() + 15]
            if what.startswith("no no-break space inside") and NBSP in match[0]:
                continue
            if (
                what.startswith("no no-break space before a per cent")
                and match.start() > 0
                and text[match.start() - 1] == NBSP
            ):
                continue
            found.append(f"{what}: …{around}…")
    return found


def mend(text: str) -> str:
    """The text with everything a machine can mend."""
    for _what, pattern, fix in RULES:
        if fix is not None:
            text = re.sub(pattern, fix, text)
    return text
