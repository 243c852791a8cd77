"""How dates, times, telephones and numbers are written in each language: domain reference, section 9."""

from datetime import UTC, date, datetime

import pytest

from crm import i18n
from crm.i18n import NBSP


def plain(written: str) -> str:
    """With ordinary spaces, so that tables read well; where no-break spaces stand is proved apart."""
    return written.replace(NBSP, " ")


@pytest.fixture(params=["fr", "en"])
def lang(request):
    with i18n.speaking(request.param):
        yield request.param


@pytest.mark.parametrize(
    ("day", "french", "english"),
    [
        (date(2026, 11, 22), "22 novembre 2026", "November 22, 2026"),
        (date(2026, 12, 1), "1er décembre 2026", "December 1, 2026"),
        (date(2026, 8, 11), "11 août 2026", "August 11, 2026"),
        (date(2027, 2, 21), "21 février 2027", "February 21, 2027"),
    ],
)
def test_a_date_reads_as_people_write_it(day, french, english):
    assert plain(i18n.format_date(day, "fr")) == french
    assert plain(i18n.format_date(day, "en")) == english


@pytest.mark.parametrize(
    ("day", "french", "english"),
    [
        (date(2026, 11, 25), "mercredi 25 novembre 2026", "Wednesday, November 25, 2026"),
        (date(2026, 12, 1), "mardi 1er décembre 2026", "Tuesday, December 1, 2026"),
    ],
)
def test_a_date_with_its_day_of_the_week(day, french, english):
    assert plain(i18n.format_weekday_date(day, "fr")) == french
    assert plain(i18n.format_weekday_date(day, "en")) == english


# What a clock in Montréal shows, whatever the season: five hours behind UTC in winter, four in summer.
@pytest.mark.parametrize(
    ("instant", "french", "english"),
    [
        (datetime(2026, 11, 22, 19, 30, tzinfo=UTC), "14 h 30", "2:30 p.m."),
        (datetime(2026, 7, 22, 18, 30, tzinfo=UTC), "14 h 30", "2:30 p.m."),
        (datetime(2026, 11, 22, 19, 0, tzinfo=UTC), "14 h", "2:00 p.m."),
        (datetime(2026, 11, 22, 17, 0, tzinfo=UTC), "12 h", "12:00 p.m."),
        (datetime(2026, 11, 22, 5, 15, tzinfo=UTC), "0 h 15", "12:15 a.m."),
        (datetime(2026, 11, 22, 13, 0, tzinfo=UTC), "8 h", "8:00 a.m."),
    ],
)
def test_a_time_reads_as_a_clock_in_montreal_shows_it(instant, french, english):
    assert plain(i18n.format_time(instant, "fr")) == french
    assert plain(i18n.format_time(instant, "en")) == english


def test_an_instant_just_after_midnight_in_london_is_still_the_day_before_in_montreal():
    late = datetime(2026, 12, 2, 2, 0, tzinfo=UTC)
    assert plain(i18n.format_instant(late, "fr")) == "1er décembre 2026 à 21 h"
    assert plain(i18n.format_instant(late, "en")) == "December 1, 2026, 9:00 p.m."


def test_a_numeric_date_is_the_same_in_both_languages(lang):
    assert i18n.short_date(date(2026, 11, 2)) == "2026-11-02"


@pytest.mark.parametrize(
    ("number", "extension", "french", "english"),
    [
        ("+15145550142", "", "514 555-0142", "514 555-0142"),
        ("+15145550142", "12", "514 555-0142, poste 12", "514 555-0142, ext. 12"),
        ("+33123456789", "", "+33123456789", "+33123456789"),
        ("+33123456789", "7", "+33123456789, poste 7", "+33123456789, ext. 7"),
        ("", "", "", ""),
    ],
)
def test_a_telephone_reads_without_brackets_and_with_the_right_word(number, extension, french, english):
    assert plain(i18n.format_phone(number, extension, "fr")) == french
    assert plain(i18n.format_phone(number, extension, "en")) == english


@pytest.mark.parametrize(
    ("value", "french", "english"),
    [
        (0, "0", "0"),
        (4.5, "4,5", "4.5"),
        (3.0, "3", "3"),
        (1500, "1 500", "1,500"),
        (12345.5, "12 345,5", "12,345.5"),
        (1234567, "1 234 567", "1,234,567"),
    ],
)
def test_a_number_has_the_marks_of_its_language(value, french, english):
    with i18n.speaking("fr"):
        assert plain(i18n.format_number(value)) == french
    with i18n.speaking("en"):
        assert i18n.format_number(value) == english


@pytest.mark.parametrize(
    "written",
    [
        i18n.format_date(date(2026, 12, 1), "fr"),
        i18n.format_time(datetime(2026, 11, 22, 19, 30, tzinfo=UTC), "fr"),
        i18n.format_time(datetime(2026, 11, 22, 19, 30, tzinfo=UTC), "en"),
        i18n.format_phone("+15145550142", "", "fr"),
        i18n.format_number(12345),
    ],
)
def test_what_belongs_together_is_not_broken_over_two_lines(written):
    assert NBSP in written
    assert " " not in written
    assert "\u202f" not in written


def test_the_first_of_the_month_has_its_letters_raised_in_pages_only():
    assert str(i18n.raised("1er décembre")) == "1<sup>er</sup> décembre"
    assert str(i18n.raised("11 décembre")) == "11 décembre"
    assert str(i18n.raised("<b>")) == "&lt;b&gt;"


# In French nothing is singular, in English it is plural: domain reference, section 9.
@pytest.mark.parametrize(
    ("count", "french_is_singular", "english_is_singular"), [(0, True, False), (1, True, True), (2, False, False)]
)
def test_nothing_is_singular_in_french_and_plural_in_english(count, french_is_singular, english_is_singular):
    for lang, singular in (("fr", french_is_singular), ("en", english_is_singular)):
        with i18n.speaking(lang):
            catalogue = i18n._catalogue(lang)
            assert catalogue.plural(count) == (0 if singular else 1)


def test_an_unknown_language_is_french():
    with i18n.speaking("de"):
        assert i18n.language() == "fr"
        assert i18n.other_language() == "en"


def test_speaking_to_somebody_leaves_the_reader_s_language_as_it_was():
    with i18n.speaking("en"):
        with pytest.raises(LookupError), i18n.speaking("fr"):
            raise LookupError
        assert i18n.language() == "en"


def test_words_written_in_a_class_body_are_translated_when_they_are_shown():
    late = i18n.lazy("Choose a date")
    with i18n.speaking("en"):
        english = str(late)
    with i18n.speaking("fr"):
        assert str(late) != english
