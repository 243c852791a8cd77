"""When the settings ask a browser for work, a real one does it while its person types, and nothing is set aside."""

import pytest
from sqlalchemy import select

from crm.activities.models import Activity
from tests.support.server import Product


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_real_browser_does_the_work_that_is_asked(chromium, database_url, tmp_path, session, people, script):
    session.commit()
    product = Product(database_url, tmp_path)
    try:
        port = product.web(CRM_PROOF_OF_WORK="10")
        context = chromium.new_context(java_script_enabled=script, locale="fr-CA")
        page = context.new_page()
        wrong = []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(f"http://127.0.0.1:{port}/fr/activite")
        page.locator("#organization").fill("Incubateur du Nord")
        page.locator("#contact_name").fill("Zoé Roy")
        page.locator("#email").fill("zoe@incubateur.example")
        page.locator('input[name="kind"][value="workshop"]').check()
        page.locator('input[name="spoken"][value="fr"]').check()
        page.locator("main button.button--main").click()
        page.wait_for_url("**/merci")
        assert wrong == []
        context.close()
    finally:
        product.stop()
    session.expire_all()
    activity = session.scalars(select(Activity)).one()
    assert ("proof" in (activity.suspicions or ())) is not script
