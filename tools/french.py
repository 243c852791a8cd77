"""French as Québec writes it: what a machine can check of the domain reference, section 9.

tools/french.py         print what is wrong in the French of the catalogue and of the texts; exit 1 if anything is
tools/french.py mend    put no-break spaces and curly apostrophes where they are missing, in both
"""

import re
import sys
from pathlib import Path

import polib

ROOT = Path(__file__).resolve().parent.parent
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


def french_texts() -> list[tuple[str, str]]:
    """(where, text) of everything French that people read."""
    from crm.texts import everything  # noqa: PLC0415 - the product is needed for this command only

    catalogue = polib.pofile(str(ROOT / "crm/translations/fr/LC_MESSAGES/messages.po"))
    found = [
        (f"catalogue: {entry.msgid}", text)
        for entry in catalogue
        for text in (entry.msgstr, *entry.msgstr_plural.values())
    ]
    found += [(key, pair["fr"]) for key, pair in everything().items()]
    return [(where, text) for where, text in found if text]


def _mend_files() -> None:
    path = ROOT / "crm/translations/fr/LC_MESSAGES/messages.po"
    catalogue = polib.pofile(str(path), wrapwidth=0)
    for entry in catalogue:
        entry.msgstr = mend(entry.msgstr)
        entry.msgstr_plural = {number: mend(text) for number, text in entry.msgstr_plural.items()}
    catalogue.save()
    for file in [*ROOT.glob("crm/*/texts.toml"), ROOT / "crm/partners/directory.toml"]:
        source = file.read_text(encoding="utf-8")
        # The French member of a pair: what follows [" up to the end of its string.
        source = re.sub(
            r'(= \["""|= \[")(.*?)("""|"(?=, ))',
            lambda found: found[1] + mend(found[2]) + found[3],
            source,
            flags=re.DOTALL,
        )
        file.write_text(source, encoding="utf-8")


def main() -> int:
    if sys.argv[1:] == ["mend"]:
        _mend_files()
    wrong = [f"{where}\n    {problem}" for where, text in french_texts() for problem in problems(text)]
    print("\n".join(wrong) or "the French typography is right")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
