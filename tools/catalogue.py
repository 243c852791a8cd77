"""Keeps the interface's catalogues fresh.

tools/catalogue.py          write the messages of the code into both catalogues; new French ones come out empty
tools/catalogue.py check    exit 1, and say why, when a catalogue is stale, incomplete or fuzzy
"""

import io
import sys
from pathlib import Path

import polib
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy": None}
PLURALS = {"fr": "nplurals=2; plural=(n > 1);", "en": "nplurals=2; plural=(n != 1);"}
FEWEST = 150  # an extraction that finds fewer looked in the wrong place


def messages() -> Catalog:
    """Every message of the code and the templates."""
    methods, options = parse_mapping_cfg(  # type: ignore[no-untyped-call]
        io.StringIO((ROOT / "babel.cfg").read_text(encoding="utf-8"))
    )
    catalogue = Catalog()
    found = extract_from_dir(str(ROOT / "crm"), methods, options, keywords=KEYWORDS, comment_tags=("Translators:",))
    for _file, _line, message, comments, _context in found:
        catalogue.add(message, auto_comments=comments)
    return catalogue


def path_of(lang: str) -> Path:
    return ROOT / "crm" / "translations" / lang / "LC_MESSAGES" / "messages.po"


def merged(lang: str) -> polib.POFile:
    """The catalogue of a language with exactly today's messages; kept translations stay, English is its own."""
    kept = polib.pofile(str(path_of(lang))) if path_of(lang).exists() else polib.POFile()
    known = {(entry.msgid, entry.msgid_plural): entry for entry in kept}
    fresh = polib.POFile(wrapwidth=0)
    fresh.metadata = {
        "Language": lang,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": PLURALS[lang],
    }
    wanted = []
    for message in messages():
        if not message.id:
            continue
        one, many = (message.id[0], message.id[1]) if isinstance(message.id, tuple) else (message.id, "")
        wanted.append((one, many))
    for one, many in sorted(set(wanted)):
        entry = polib.POEntry(msgid=one, msgid_plural=many)
        was = known.get((one, many))
        if lang == "en":
            entry.msgstr, entry.msgstr_plural = ("", {0: one, 1: many}) if many else (one, {})
        elif was is not None:
            entry.msgstr, entry.msgstr_plural = was.msgstr, was.msgstr_plural
        elif many:
            entry.msgstr_plural = {0: "", 1: ""}
        fresh.append(entry)
    return fresh


def problems(lang: str) -> list[str]:
    """What is wrong with a catalogue as it is on disk; empty when it is fresh and complete."""
    fresh, kept = merged(lang), polib.pofile(str(path_of(lang)))
    found = []
    if len(fresh) < FEWEST:
        found.append(f"{lang}: only {len(fresh)} messages were found: is babel.cfg right?")
    if [(e.msgid, e.msgid_plural) for e in fresh] != [(e.msgid, e.msgid_plural) for e in kept]:
        found.append(f"{lang}: stale. Run: make texts")
    found += [f"{lang}: no translation of {entry.msgid!r}" for entry in kept.untranslated_entries()]
    found += [f"{lang}: fuzzy {entry.msgid!r}" for entry in kept.fuzzy_entries()]
    return found


def main() -> int:
    if sys.argv[1:] == ["check"]:
        wrong = [problem for lang in PLURALS for problem in problems(lang)]
        print("\n".join(wrong) or "catalogues are fresh and complete")
        return 1 if wrong else 0
    for lang in PLURALS:
        fresh = merged(lang)
        fresh.save(str(path_of(lang)))
        print(f"{lang}: {len(fresh)} messages, {len(fresh.untranslated_entries())} to translate")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
