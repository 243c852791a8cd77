"""Addresses nobody would type: a page that says it cannot be found, never a fault of ours."""

import base64
import json

import pytest

HUGE = 10**30
BIGGER_THAN_A_ROW = 2**31
BIGGER_THAN_A_COLUMN = 2**63


def page_key(*values) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize("number", [BIGGER_THAN_A_ROW, BIGGER_THAN_A_COLUMN, HUGE])
def test_a_number_no_row_can_have_is_not_found(make, people, signed_in, number):
    case = make.case(owner=people.coordinator)
    coordinator = signed_in(people.coordinator)
    file = f"/staff/cases/{case.reference}"
    coordinator.get(f"{file}/referrals/{number}", 404)
    for address in (
        f"/staff/mail/{number}/send-again",
        f"{file}/follow-ups/{number}/done",
        f"{file}/talks/{number}/outcome",
        f"{file}/referrals/{number}/send",
        f"{file}/permissions/{number}/withdraw",
    ):
        coordinator.get(file)
        coordinator.post(address, status=404)


@pytest.mark.parametrize("sign", ["%00", "%FF", "%ED%A0%80", "%E2%80%AE", "%0A", "'", "%25"])
def test_a_reference_with_any_sign_in_it_is_not_found(people, signed_in, pages, sign):
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases/PCC-2B3C{sign}", 404)
    adviser.get(f"/staff/organizations/cdrq{sign}", 404)
    pages.get(f"/fr/demande/recue/abc{sign}", 404)
    pages.get(f"/fr/{sign}", 404)


@pytest.mark.parametrize(
    "after",
    [
        page_key(0, HUGE),
        page_key(0, BIGGER_THAN_A_COLUMN),
        page_key(0, BIGGER_THAN_A_ROW),
        page_key(1e300, 1),
        page_key("nan", 1),
        page_key(-1e11, 1),
        page_key([], {}),
        page_key(1),
        "é",
        "%00",
        "=",
        base64.urlsafe_b64encode(b'"12"').decode(),
        base64.urlsafe_b64encode(b"[" * 100_000).decode()[:3000],
    ],
)
def test_a_page_key_that_is_not_ours_shows_a_page(people, signed_in, after):
    adviser = signed_in(people.adviser)
    adviser.get(f"/staff/cases?after={after}")
    adviser.get(f"/staff/cases?stage=%00&owner=%00&after={after}")
