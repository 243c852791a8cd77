"""How alike two files are: tables, and properties that hold for any two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.duplicates.matching import THRESHOLD, Reason, Traits, compare, folded, keys, telling

NADIA = Traits(
    "Nadia Benali", "nadia@exemple.ca", "+15145550142", "", "1160000000", "Outilthèque de Rosemont", "sharing", "verdun"
)
R = Reason
PAIRS = {
    "same address, however it is written": (Traits("X", "Nadia@Exemple.CA"), {R.EMAIL}, True),
    "same telephone": (Traits("X", phone="+15145550142"), {R.PHONE}, True),
    "same number of an enterprise": (Traits("X", neq="1160000000"), {R.NEQ}, True),
    "same project, no accents, other order, other article": (
        Traits("X", project="La coopérative Rosemont : OUTILTHEQUE"), {R.PROJECT}, True),
    "a slip in the project's name alone": (Traits("X", project="Outilteque de Rosmont"), {R.NEAR_PROJECT}, False),
    "a slip in the project's name, same field and place": (
        Traits("X", project="Outilteque de Rosmont", sector="sharing", place="verdun"), {R.NEAR_PROJECT, R.SECTOR, R.PLACE}, True),
    "same name alone": (Traits("BENALI, Nadia"), {R.NAME}, False),
    "same name and place": (Traits("Nadia Bénali", place="verdun"), {R.NAME, R.PLACE}, True),
    "a slip in the name, same field and place": (Traits("Nadya Benali", sector="sharing", place="verdun"), {R.NEAR_NAME, R.SECTOR, R.PLACE}, False),
    "same field and place alone": (Traits("X", sector="sharing", place="verdun"), {R.SECTOR, R.PLACE}, False),
    "nothing": (Traits("Nadine Benoit", "n@b.ca", "+15145550143", "", "1160000001", "Couture du Sud", "food", "lasalle"), set(), False),
}  # fmt: skip


@pytest.mark.parametrize("case", PAIRS)
def test_what_makes_two_files_alike(case):
    other, reasons, asked = PAIRS[case]
    found = compare(NADIA, other)
    assert set(found.reasons) == reasons
    assert (found.score >= THRESHOLD) is asked


def test_two_extensions_of_one_switchboard_are_two_people():
    one, other = Traits("A", phone="+15145550142", extension="12"), Traits("B", phone="+15145550142", extension="13")
    assert compare(one, other).score == 0
    assert compare(one, Traits("B", phone="+15145550142")).reasons == (R.PHONE,)


def test_unknown_is_not_the_same_as_unknown():
    assert compare(Traits(""), Traits("")).reasons == ()
    assert compare(Traits("", sector="other"), Traits("", sector="other")).reasons == ()


def test_words_that_every_project_has_tell_nothing():
    assert telling("Le projet de plateforme coopérative") == ""
    assert compare(Traits("A", project="Une plateforme"), Traits("B", project="Mon projet coop")).score == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Nadia Benali", "Nadya Benali"),
        ("Marie-Ève Tremblay", "Marie Eve Trembley"),
        ("Benali Nadia", "Nadia Bénali"),
        ("Jean-François Côté", "jean francois cote"),
    ],
)
def test_names_that_differ_by_a_slip_are_found_under_a_common_key(one, other):
    assert set(keys(Traits(one)).coarse) & set(keys(Traits(other)).coarse)
    assert {R.NAME, R.NEAR_NAME} & set(compare(Traits(one), Traits(other)).reasons)


NAMES = st.text(alphabet=st.characters(codec="utf-8"), max_size=130)
ANY = st.builds(
    Traits, name=NAMES, email=st.sampled_from(["", "a@b.ca", "A@b.ca"]), phone=st.sampled_from(["", "+15145550142"]),
    extension=st.sampled_from(["", "1", "2"]), neq=st.sampled_from(["", "1160000000"]), project=NAMES,
    sector=st.sampled_from(["", "food", "other"]), place=st.sampled_from(["", "verdun"]),
)  # fmt: skip


@given(ANY, ANY)
def test_likeness_is_mutual_and_what_asks_shares_an_exact_key_or_a_name(one, other):
    found = compare(one, other)
    assert found == compare(other, one)
    for trait, reason in (("email", R.EMAIL), ("phone", R.PHONE), ("neq", R.NEQ)):
        if reason in found.reasons:
            assert set(keys(one).exact) & set(keys(other).exact), trait


@given(st.text(max_size=6))
def test_folding_is_done_once(text):
    assert folded(folded(text)) == folded(text)


@given(NAMES)
def test_keys_are_numbers_that_a_database_holds(text):
    assert all(0 <= key < 2**63 for key in keys(Traits(text, project=text)).every)
