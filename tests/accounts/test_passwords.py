"""Passwords: what is accepted and how they are kept. Figures: security reference, section 5.2."""

import argon2
import pytest
from argon2.low_level import Type

from crm.accounts import passwords
from crm.accounts.passwords import is_outdated, make_hash, matches, problem

GOOD = "un mot de passe bien long"


@pytest.mark.parametrize(
    ("password", "wrong"),
    [
        ("", "at least 15 characters"),
        ("abcdefghijklmn", "at least 15 characters"),  # fourteen
        ("abcdefghijklmno", None),  # fifteen
        ("abcdefghij" * 12 + "abcdefgh", None),  # 128
        ("abcdefghij" * 12 + "abcdefghi", "at most 128 characters"),  # 129
        ("abcdefghij" * 100_000, "at most 128 characters"),
        ("aaaaaaaaaaaaaaa", "more varied characters"),
        ("abcdabcdabcdabcd", "more varied characters"),  # four letters
        ("abcdeabcdeabcde", None),
        ("               ", "more varied characters"),
        (" mots avec blancs ", None),
        ("toutes lettres minuscules", None),  # no rule of composition
        ("ᐃᓄᒃᑎᑐᑦ ᐃᓄᒃᑎᑐᑦ ᐃᓄᒃ", None),
        ("👩‍🌾👨‍🚀🧑‍🎨👩‍🔬👨‍🏫", None),
    ],
)
def test_a_new_password_is_long_and_free(password, wrong):
    assert problem(password) == wrong


def test_letters_are_counted_as_they_are_hashed():
    assert problem("e\u0301a\u0300o\u0302i\u0302e\u0301a\u0300o\u0302i\u0302") == "at least 15 characters"


def test_a_password_that_cannot_be_encoded_is_refused_in_words():
    assert problem("\ud800" + GOOD)


def test_the_real_hasher_has_the_figures_of_the_reference(cheap_passwords):
    kept = cheap_passwords.hash(GOOD)
    figures = argon2.extract_parameters(kept)
    assert figures.type is Type.ID
    assert (figures.memory_cost, figures.time_cost, figures.parallelism) == (46 * 1024, 1, 1)
    assert figures.salt_len >= 16
    assert figures.hash_len >= 32
    assert kept.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert cheap_passwords.verify(kept, GOOD)


def test_at_most_four_hashes_are_made_at_once():
    turns = [passwords._turn.acquire(blocking=False) for _ in range(5)]
    for taken in turns:
        if taken:
            passwords._turn.release()
    assert turns == [True] * 4 + [False]


def test_a_password_opens_only_its_own_hash():
    kept = make_hash(GOOD)
    assert matches(GOOD, kept)
    assert not matches(GOOD + " ", kept)
    assert not matches(GOOD.upper(), kept)
    assert not matches("", kept)


def test_the_same_password_is_never_kept_twice_alike():
    assert make_hash(GOOD) != make_hash(GOOD)


def test_accents_typed_on_another_keyboard_are_the_same_password():
    composed, apart = "mot de passe d\u2019Am\u00e9lie", "mot de passe d\u2019Ame\u0301lie"
    assert matches(apart, make_hash(composed))
    assert matches(composed, make_hash(apart))


def test_blanks_around_a_password_are_part_of_it():
    assert matches(f"  {GOOD} ", make_hash(f"  {GOOD} "))
    assert not matches(GOOD, make_hash(f"  {GOOD} "))


class Counting(argon2.PasswordHasher):
    """The library's own hasher, that remembers what it was asked to verify."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = []

    def verify(self, kept, password):
        self.verified.append((kept, password))
        return super().verify(kept, password)


@pytest.fixture
def counting(monkeypatch):
    hasher = Counting()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_dummy", [])
    return hasher


def test_somebody_unknown_takes_the_same_work_and_is_refused(counting):
    assert not matches(GOOD, None)
    assert not matches("nobody has this password", None)  # not even with the password of the dummy
    assert [password for _, password in counting.verified] == [GOOD, "nobody has this password"]
    figures = argon2.extract_parameters(counting.verified[0][0])
    assert figures == argon2.extract_parameters(counting.hash(GOOD))


def test_more_than_1024_bytes_never_reach_the_hasher(counting):
    assert not matches("x" * 1025, counting.hash("x" * 1025))
    assert not matches("é" * 513, None)
    assert counting.verified == []
    assert matches("x" * 1024, counting.hash("x" * 1024))


@pytest.mark.parametrize("kept", ["not a hash", "$argon2id$v=19$m=8,t=1,p=1$", "$2b$12$abcdefghijklmnopqrstuv"])
def test_a_damaged_hash_opens_nothing(kept):
    assert not matches(GOOD, kept)


def test_a_hash_of_other_figures_is_made_again_at_the_next_sign_in(cheap_passwords):
    assert not is_outdated(make_hash(GOOD))
    assert is_outdated(cheap_passwords.hash(GOOD))
    assert is_outdated(argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(GOOD))
