"""Telephones and e-mail addresses as people type them: domain reference, section 7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.formats import LARGEST_AMOUNT, is_of_quebec, read_amount, read_email, read_phone, read_postal_code
from crm.i18n import NBSP, format_amount, format_phone

MONTREAL = "+15145550142"


@pytest.mark.parametrize(
    "typed",
    [
        "5145550142",
        "514 555-0142",
        "514-555-0142",
        "514.555.0142",
        "514/555-0142",
        "(514) 555-0142",
        "[514] 555 0142",
        " 514  555  0142 ",
        "514\u00a0555\u20110142",  # what a word processor makes of it
        "514\u2013555\u20130142",
        "\u202a514 555-0142\u202c",  # copied from a telephone's address book
        "1 514 555-0142",
        "1-514-555-0142",
        "+1 514 555-0142",
        "+1 (514) 555-0142",
    ],
)
def test_a_number_is_read_however_it_is_spaced(typed):
    assert read_phone(typed) == (MONTREAL, "")


@pytest.mark.parametrize(
    "extension",
    [
        " poste 12",
        ", poste 12",
        " Poste 12",
        " POSTE 12",
        " postes 12",
        " poste: 12",
        " p. 12",
        ", p.12",
        " ext. 12",
        " ext 12",
        " extension 12",
        " x12",
        " x 12",
        "x12",
        " #12",
        " # 12",
        "; poste 12",
    ],
)
def test_an_extension_is_set_apart_and_never_dialled_with_the_number(extension):
    assert read_phone(f"514 555-0142{extension}") == (MONTREAL, "12")
    assert read_phone(f"+1 514 555-0142{extension}") == (MONTREAL, "12")


def test_the_words_of_the_reference_that_a_library_read_as_a_longer_number():
    assert read_phone("(438) 555 0123 poste 12") == ("+14385550123", "12")


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+33 1 23 45 67 89", "+33123456789"),
        ("+44 20 7946 0958", "+442079460958"),
        ("+4512345678", "+4512345678"),
        ("+45 12 34 56", "+45123456"),  # eight digits, the fewest
        ("+331234567890123", "+331234567890123"),  # fifteen, the most
    ],
)
def test_a_number_from_elsewhere_is_kept_with_its_country(typed, number):
    assert read_phone(typed) == (number, "")


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "+",
        "poste 12",
        "555-0142",  # no area code
        "514 555-014",
        "514 555-01422",
        "2 514 555-0142",  # eleven digits that do not begin with 1
        "0033 1 23 45 67 89",
        "+1 514 555-014",
        "+1 514 555-01422",
        "+33 1234",  # too few
        "+3312345678901234",  # sixteen
        "514 555-0142 12",  # ten digits and two more, without a word
        "514 555-0142 ou 438 555-0123",
        "514 555-0142 poste",
        "514 555-0142 poste 123456789",
        "1-800-PASSERELLE",
        "\uff15\uff11\uff14 555-0142",  # digits of another script
        "++15145550142",
        "514 555-0142\x00",
        "demandez Nadia",
    ],
)
def test_what_is_not_one_whole_number_is_refused(typed):
    assert read_phone(typed) is None


def test_an_extension_in_digits_nobody_can_dial_is_refused():
    assert read_phone("514 555-0142 poste \u0661\u0662") is None


def test_a_field_full_of_blanks_is_answered_like_any_other():
    assert read_phone("5" + " " * 20_000 + "5") is None


@given(st.text(max_size=30))
def test_whatever_is_typed_gives_a_dialable_number_or_none(typed):
    read = read_phone(typed)
    if read is not None:
        number, extension = read
        assert number.startswith("+")
        assert number[1:].isascii()
        assert number[1:].isdigit()
        assert 8 <= len(number) - 1 <= 15
        assert len(extension) <= 8


@given(st.from_regex(r"[2-9][0-9]{9}", fullmatch=True), st.from_regex(r"([0-9]{1,8})?", fullmatch=True))
def test_a_number_that_was_shown_is_read_back_as_the_same_number(digits, extension):
    for lang in ("fr", "en"):
        shown = format_phone(f"+1{digits}", extension, lang)
        assert read_phone(shown.replace(NBSP, " ")) == (f"+1{digits}", extension)
        assert read_phone(shown) == (f"+1{digits}", extension)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("nadia@exemple.ca", "nadia@exemple.ca"),
        ("Nadia.Benali@Exemple.CA", "Nadia.Benali@exemple.ca"),  # the person's spelling, the domain's in lower case
        ("nadia+passerelle@exemple.ca", "nadia+passerelle@exemple.ca"),
        ("o'neil@exemple.ca", "o'neil@exemple.ca"),
        ("n_b-1@sous.domaine.exemple.ca", "n_b-1@sous.domaine.exemple.ca"),
        ("nadia@exémple.ca", "nadia@xn--exmple-cva.ca"),
        ("nadia@EXÉMPLE.ca", "nadia@xn--exmple-cva.ca"),
    ],
)
def test_an_address_is_kept_as_typed(typed, kept):
    assert read_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "nadia",
        "@exemple.ca",
        "nadia@",
        "nadia@exemple",  # no dot in the domain
        "nadia@@exemple.ca",
        "nadia@exemple..ca",
        ".nadia@exemple.ca",
        "nadia@exemple.ca.",
        "na dia@exemple.ca",
        "nadia@exem ple.ca",
        "nadia@[127.0.0.1]",
        "nadïa@exemple.ca",  # many mail servers refuse it: nobody would know
        "Nadia <nadia@exemple.ca>",
        "mailto:nadia@exemple.ca",
        "nadia@exemple.ca, sam@exemple.ca",
        "nadia@exemple.ca\nBcc: sam@exemple.ca",
        "nadia@exemple.ca\r\nSubject: x",
        "nadia@exemple.ca\x00",
        "n" * 250 + "@exemple.ca",
    ],
)
def test_what_is_not_one_complete_address_is_refused(typed):
    assert read_email(typed) is None


@given(st.text(max_size=40))
def test_no_address_that_is_kept_can_break_a_header(typed):
    kept = read_email(typed)
    if kept is not None:
        assert kept.isascii()
        assert kept.isprintable()
        assert kept.count("@") == 1
        assert not set(kept) & set(" ,;<>")


@pytest.mark.parametrize("typed", ["H2X 1Y4", "h2x1y4", " h2x-1y4 ", "H2X\u00a01Y4", "H2X\u20131Y4", "H 2 X 1 Y 4"])
def test_a_postal_code_is_read_however_it_is_spaced(typed):
    assert read_postal_code(typed) == "H2X 1Y4"


@pytest.mark.parametrize(
    "typed", ["", "H2X", "H2X 1Y", "D2X 1Y4", "W2X 1Y4", "H2O 1Y4", "H2X 1Y44", "12345", "H２X 1Y4", "x" * 500]
)
def test_what_is_no_postal_code_is_none(typed):
    assert read_postal_code(typed) is None


def test_another_province_is_worth_a_question_only():
    assert [is_of_quebec(code) for code in ("G1A 1A1", "H2X 1Y4", "J4K 2T1", "K1A 0B1", "")] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("typed", "cents"),
    [
        ("50 000", 5_000_000), ("50,000", 5_000_000), ("50000", 5_000_000), ("50 000,00 $", 5_000_000), ("$50,000", 5_000_000),
        ("50.000", 5_000_000), ("50\u202f000\u00a0$", 5_000_000), ("1,234.50", 123_450), ("1.234,50", 123_450), ("12,5", 1_250),
        ("0", 0), ("1,234,567.89", 123_456_789), ("1 234 567,89 $ ", 123_456_789), ("50000 CAD", 5_000_000), ("CA$5", 500), ("12.50$", 1_250),
    ],
)  # fmt: skip
def test_an_amount_is_read_in_either_writing(typed, cents):
    assert read_amount(typed) == cents


@pytest.mark.parametrize(
    "typed", ["", "$", "cinq mille", "-5", "1,23,456", "1.2.3", "1,234,56", "50 000 $ US", "1e5", "٥٠", "12,345.678", "9" * 30, "5" * 500, "1\x002"]
)  # fmt: skip
def test_what_is_no_amount_is_none(typed):
    assert read_amount(typed) is None


@given(st.integers(min_value=0, max_value=LARGEST_AMOUNT), st.sampled_from(["fr", "en"]))
def test_an_amount_as_it_is_shown_reads_back(cents, lang):
    assert read_amount(format_amount(cents, lang)) == cents


def test_amounts_as_each_language_writes_them():
    assert [format_amount(5_000_000, lang) for lang in ("fr", "en")] == [f"50{NBSP}000{NBSP}$", "$50,000"]
    assert [format_amount(123_450, lang) for lang in ("fr", "en")] == [f"1{NBSP}234,50{NBSP}$", "$1,234.50"]
