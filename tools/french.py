"""French as Québec writes it: what a machine can check of the domain reference, section 9.

tools/french.py         print what is wrong in the French of the catalogue and of the texts; exit 1 if anything is
tools/french.py mend    put no-break spaces and curly apostrophes where they are missing, in both
"""

import re
import sys
from pathlib import Path

import polib

from crm.texts import everything
from crm.texts.typography import mend, problems

ROOT = Path(__file__).resolve().parent.parent


def french_texts() -> list[tuple[str, str]]:
    """(where, text) of everything French that people read."""
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
