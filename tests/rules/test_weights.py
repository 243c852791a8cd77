"""Public pages are light: under 60 KB with all their files on a first visit, under 15 KB afterwards, uncompressed."""

import re

import pytest

from crm.cases.addresses import link_of
from crm.content.views import SLUGS as WRITTEN
from crm.intake.forms import PAGES
from crm.links.services import token
from tests.support.asking import CHECK, START, address, ask, begin, fill
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, Pages
from tests.support.talking import open_hours

FIRST, AFTERWARDS = 60_000, 15_000
KEPT = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def weight(answer) -> int:
    """What travels: the body and the headers."""
    return len(answer.data) + sum(len(name) + len(value) + 4 for name, value in answer.headers) + 20


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_public_pages_are_light(app, pages, make, people, session, lang):
    open_hours(session, people.adviser, people.other_adviser)
    begin(pages, lang)
    fill(pages, ANSWERS, lang)
    addresses = [f"/{lang}/", START[lang], *(address(page, lang) for page in PAGES), CHECK[lang]]
    addresses += {"fr": ["/fr/activite", "/fr/diriger-un-projet"], "en": ["/en/activity", "/en/send-a-project"]}[lang]
    addresses += [f"/{lang}/{slugs[lang == 'en']}" for slugs in WRITTEN.values()]
    addresses.append({"fr": "/fr/demande/plus-tard", "en": "/en/request/later"}[lang])
    addresses.append({"fr": "/fr/demande/reprendre", "en": "/en/request/resume"}[lang])
    found = {one: _weigh(pages, one) for one in addresses}
    sender = Pages(app)
    where = ask(sender, ANSWERS, lang).headers["Location"]
    found["received"] = _weigh(sender, where)
    visitor, door = Pages(app), f"/fr/mon-dossier/ouvrir/{token(link_of(make.case()))}"
    session.commit()
    visitor.get(door)
    visitor.post(door)
    found["file"] = _weigh(visitor, {"fr": "/fr/mon-dossier", "en": "/en/my-file"}[lang])
    found["copy"] = _weigh(visitor, {"fr": "/fr/mon-dossier/ma-copie", "en": "/en/my-file/my-copy"}[lang])
    correct = {"fr": "/fr/mon-dossier/corriger/besoins", "en": "/en/my-file/correct/needs"}[lang]
    found["correct"] = _weigh(visitor, correct)
    found["times"] = _weigh(visitor, {"fr": "/fr/mon-dossier/moments", "en": "/en/my-file/times"}[lang])
    print("\n".join(f"{lang} {one}: {first:,} first, {then:,} afterwards" for one, (first, then) in found.items()))
    assert max(first for first, _ in found.values()) < FIRST, found
    assert max(then for _, then in found.values()) < AFTERWARDS, found


def _weigh(pages, one: str) -> tuple[int, int]:
    """(with all files, the page alone), in bytes; files that carry a mark of their content are kept for a year."""
    page = pages.get(one)
    files = 0
    for file in dict.fromkeys(KEPT.findall(page.text)):
        answer = pages.client.get(file, headers={"Host": HOST})
        assert "immutable" in answer.headers["Cache-Control"], file
        files += weight(answer)
    return weight(page) + files, weight(page)
