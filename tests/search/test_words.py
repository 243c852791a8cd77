"""How text is cut into words, and how what is typed is read: without accents, case, hyphens or the marks of any database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.search.words import LONGEST_WORD, MOST_WORDS, fold, kept, read_question, words_of


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Cœur d’Île", "coeur d’ile"),
        ("ÉLÉONORE", "eleonore"),
        ("e\u0301cole", "ecole"),  # the accent as a sign of its own
        ("Straße Øre Łódź", "strasse ore lodz"),
        ("ﬁn № Ⅳ", "fin no iv"),
    ],
)
def test_folding(text, wanted):
    assert fold(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Jean-Philippe", {"jean", "philippe", "jeanphilippe"}),
        ("Rosemont–La Petite-Patrie", {"rosemont", "la", "petite", "patrie", "rosemontla", "petitepatrie"}),
        ("l’école d'été", {"l", "ecole", "lecole", "d", "ete", "dete"}),
        ("PCC-7K4M-2T9R", {"pcc", "7k4m", "2t9r", "pcc7k4m2t9r", "7k4m2t9r"}),
        ("O.B.N.L.", {"o", "b", "n", "l", "obnl", "bnl", "nl"}),
        ("+15145550142", {"15145550142", "5145550142", "5550142", "0142"}),
        ("(514) 555-0142, poste 12", {"514", "555", "0142", "5550142", "5145550142", "poste", "12"}),
        ("zoe.b@exemple.ca", {"zoe", "b", "zoeb", "exemple", "ca", "exempleca"}),
        ("жук", {"x0436x0443x043a"}),
        ("", set()),
        ("\u202eabc\u200f", {"abc"}),
        ("😀 ok", {"ok"}),
    ],
)
def test_words(text, wanted):
    assert words_of(text) == wanted


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("  Coopérative   ROSEMONT ", ("cooperative", "rosemont")),
        ("514 555-0142", ("5145550142",)),
        ("+1 (514) 555.0142", ("5145550142",)),
        ("0142", ("0142",)),
        ("555-0142", ("5550142",)),
        ("12 34", ("12", "34")),
        ("7k4m-2t9r", ("7k4m", "2t9r")),
        ("pcc7k4m2t9r", ("pcc7k4m2t9r",)),
        ("zoe@exemple.ca", ("zoe", "exemple", "ca")),
        ('"a* OR NEAR(b) \'; -- %', ("or", "near")),
        ("l’école", ("ecole",)),
        ("a", ()),
        ("´ ` ^", ()),
        ("", ()),
        ("\x00\ud800", ()),
    ],
)  # fmt: skip
def test_questions(typed, wanted):
    assert read_question(typed).words == wanted


def test_a_long_question_and_a_long_text_have_an_end():
    assert len(read_question("mot " * 5000).words) == 1
    assert len(read_question(" ".join(f"mot{n}" for n in range(50))).words) == MOST_WORDS
    assert len(read_question("x" * 10_000).words[0]) == LONGEST_WORD
    assert len(kept(" ".join(f"mot{n}" for n in range(50_000))).split(" ")) < 6100


@given(st.text(max_size=200))
def test_every_text_is_found_by_its_own_words(text):
    """Whatever is typed, each of its words is a word of the text or its beginning; and nothing but ASCII is asked."""
    words = words_of(text)
    assert all(word.isascii() and word.isalnum() and word == word.lower() for word in words)
    question = read_question(text)
    assert all(any(word.startswith(asked) for word in words) for asked in question.words)
