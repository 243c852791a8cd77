"""The newsletter list, the way off it, and consents that the programme does not ask for."""

import csv
import io
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from crm.app import create_app
from crm.db import db, writing
from crm.intake.forms import PAGES
from crm.permissions.models import Consent
from crm.texts.published import publish
from tests.conftest import settings_for
from tests.support.asking import CHECK, address, ask, begin, fill
from tests.support.factories import ANSWERS
from tests.support.pages import HOST, Pages, words

LIST = "/staff/newsletter"
YES = ANSWERS | {"newsletter": "yes"}


def exported(browser) -> list[dict[str, str]]:
    answer = browser.client.get(LIST, headers={"Host": HOST})
    assert answer.status_code == 200
    assert answer.data.startswith("\ufeff".encode())
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))


@pytest.fixture
def coordinator(people, signed_in):
    return signed_in(people.coordinator)


def test_the_list_holds_each_address_once_with_its_own_way_out(app, people, session, coordinator):
    ask(Pages(app), YES)
    ask(Pages(app), YES | {"email": "NADIA@exemple.ca", "contact_name": "=HYPERLINK(1)"})
    ask(Pages(app), YES | {"email": "sam@exemple.ca", "lang_pref": "en", "contact_name": "Zoé Émond"})
    ask(Pages(app), ANSWERS | {"email": "non@exemple.ca"})
    ask(
        Pages(app),
        YES | {"email": "robot@exemple.ca", "description": "https://a.b https://c.d https://e.f et plus encore"},
    )
    rows = exported(coordinator)
    assert [row["email"].lower() for row in rows] == ["nadia@exemple.ca", "sam@exemple.ca"]
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    assert (rows[1]["name"], rows[1]["language"]) == ("Zoé Émond", "en")
    assert urlsplit(rows[1]["unsubscribe"]).path.startswith("/en/newsletter/unsubscribe/")


def test_only_coordinators_export(people, signed_in):
    signed_in(people.adviser).get(LIST, 404)


@pytest.mark.parametrize("way", ["button", "mail program"])
def test_the_way_out_works_once_pressed_and_not_when_only_read(app, people, session, coordinator, way):
    ask(Pages(app), YES)
    ask(Pages(app), YES)  # the same address, twice
    out = urlsplit(exported(coordinator)[0]["unsubscribe"]).path
    reader = Pages(app)
    for _ in range(2):
        reader.get(out)
        reader.client.head(out, headers={"Host": HOST})
    assert len(exported(coordinator)) == 1
    if way == "button":
        reader.post(out, status=200)
    else:
        answer = reader.client.post(out, data={"List-Unsubscribe": "One-Click"}, headers={"Host": HOST})
        assert answer.status_code == 200
    assert exported(coordinator) == []
    assert all(session.scalars(select(Consent.withdrawn_at)))
    assert "C’est fait" in words(reader.get(out).text)


def test_a_forged_way_out_leads_nowhere(app, people, session, coordinator):
    ask(Pages(app), YES)
    out = urlsplit(exported(coordinator)[0]["unsubscribe"]).path
    for forged in (out + "x", out.rpartition("/")[0] + "/1", out.rpartition("/")[0] + "/Mg.forged"):
        Pages(app).get(forged, 404)


@pytest.mark.parametrize(
    ("off", "offered"),
    [(("newsletter", "survey"), []), (("newsletter",), ["survey"]), (("survey",), ["newsletter"])],
)
def test_a_consent_that_is_not_asked_for_is_nowhere(database_url, tmp_path, off, offered):
    app = create_app(settings_for(tmp_path, database_url))
    with app.app_context(), writing():
        for what in off:
            publish(f"programme.asks_{what}", "no", "no", by_id=None, both_agree=True)
        db.session.commit()
    with app.app_context():
        db.session.remove()
    pages = Pages(app)
    begin(pages)
    if offered:
        page = pages.get(address("choices")).text
        assert [name for name in ("newsletter", "survey") if f'name="{name}"' in page] == offered
        assert "Un choix qui vous appartient" in words(page)
    else:
        pages.get(address("choices"), 404)
        assert "Page 6 de 7" in words(pages.get(address("needs")).text)
    fill(
        pages,
        ANSWERS | {"newsletter": "yes", "survey": "yes"},
        only=tuple(p for p in PAGES if p != "choices" or offered),
    )
    pages.get(CHECK["fr"])
    pages.post(CHECK["fr"])
    with app.app_context():
        assert list(db.session.scalars(select(Consent.purpose).order_by(Consent.id))) == offered
        db.session.remove()
        db.engine.dispose()
