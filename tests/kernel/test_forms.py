"""What every form does with what people type: blanks, characters nobody can read, lengths and unknown options."""

from datetime import date

import pytest
import wtforms
from werkzeug.datastructures import MultiDict

from crm import forms
from crm.i18n import speaking

KINDS = (("a", "Un"), ("b", "Deux"))


class Sample(forms.Form):
    ids = "sample-"

    name = wtforms.StringField(validators=[forms.Filled("Write a name"), forms.AtMost(10)])
    words = wtforms.TextAreaField(validators=[forms.AtMost()])
    password = wtforms.PasswordField()
    one = forms.Pick()
    must = forms.Radio(validators=[forms.Chosen("Choose one")])
    many = forms.Boxes()
    on = forms.DateField()

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.one.choices = self.must.choices = self.many.choices = KINDS


@pytest.fixture(autouse=True)
def english():
    with speaking("en"):
        yield


def typed(**answers) -> Sample:
    filled = {"name": "Nadia", "must": "a"} | answers
    pairs = [(name, one) for name, value in filled.items() for one in (value if isinstance(value, list) else [value])]
    form = Sample(MultiDict(pairs))
    form.validate()
    return form


def errors(**answers) -> dict[str, list[str]]:
    return {name: [str(one) for one in found] for name, found in typed(**answers).errors.items()}


@pytest.mark.parametrize(
    "blank",
    [" ", "\t", "\r\n", "\u00a0", "\u202f", "\u200b", "\u200d", "\u2060", "\ufeff", " \u00a0\n "],
    ids=lambda blank: blank.encode("unicode_escape").decode(),
)
def test_blanks_of_all_kinds_are_taken_off_both_ends(blank):
    assert typed(name=f"{blank}Nadia B{blank}").name.data == "Nadia B"
    assert errors(name=blank) == {"name": ["Write a name"]}


def test_blanks_inside_what_was_typed_stay():
    assert typed(words="un  deux\n\n trois").words.data == "un  deux\n\n trois"


def test_line_ends_of_every_system_become_one_kind():
    assert typed(words="un\r\ndeux\rtrois\nquatre").words.data == "un\ndeux\ntrois\nquatre"


def test_an_accent_typed_apart_is_the_same_letter():
    assert typed(name="Ame\u0301lie").name.data == "Am\u00e9lie"


def test_a_password_keeps_its_blanks():
    assert typed(password="  long password  ").password.data == "  long password  "


@pytest.mark.parametrize(
    "sign",
    ["\x00", "\x07", "\x1b", "\x7f", "\x85", "\ud800", "\ufffd", "\uffff"],  # noqa: PT014 - a lone surrogate and U+FFFD are two signs
    ids=lambda sign: sign.encode("unicode_escape").decode(),
)
@pytest.mark.parametrize("field", ["name", "words", "password", "on"])
def test_characters_nobody_could_read_back_are_refused_and_never_kept(field, sign):
    form = typed(**{field: f"ab{sign}cd"})
    assert [str(one) for one in form[field].errors] == ["Some characters could not be read. Type this answer again"]
    assert form[field].data == "ab\ufffdcd"
    form[field].data.encode()


def test_tabs_line_ends_emoji_and_every_script_are_readable():
    said = "Inuktitut ᐃᓄᒃᑎᑐᑦ\tالعربية\n👩‍🌾 « oui »"
    assert typed(words=said).words.data == said
    assert not errors(words=said)


def test_ten_characters_fit_and_eleven_say_what_to_do():
    assert not errors(name="é" * 10)
    assert errors(name="é" * 11) == {"name": ["Shorten your answer to 10 characters or fewer"]}


def test_a_text_is_as_long_as_the_longest_and_no_longer():
    assert not errors(words="x" * forms.LONGEST)
    assert errors(words="x" * (forms.LONGEST + 1)) == {"words": ["Shorten your answer to 20,000 characters or fewer"]}


@pytest.mark.parametrize("value", ["c", "", "A", "None", "a,b"])
def test_an_option_that_is_not_offered_counts_as_no_answer(value):
    form = typed(one=value)
    assert form.one.data == ""
    assert not form.one.errors
    assert errors(must=value) == {"must": ["Choose one"]}


def test_an_answer_left_out_says_once_what_to_do():
    form = Sample(MultiDict({"name": "Nadia"}))
    assert not form.validate()
    assert [str(one) for one in form.must.errors] == ["Choose one"]


def test_boxes_that_are_not_offered_are_left_out():
    assert typed(many=["b", "z", "a"]).many.data == ["b", "a"]
    assert typed(many=["z"]).many.data == []


@pytest.mark.parametrize("day", ["2026-11-25", " 2026-11-25\n"])
def test_a_day_is_read(day):
    assert typed(on=day).on.day == date(2026, 11, 25)


@pytest.mark.parametrize("day", ["25/11/2026", "2026-02-30", "2026-13-01", "demain", "2026-11", "0000-01-01"])
def test_a_day_that_does_not_exist_is_refused_with_an_example(day):
    form = typed(on=day)
    assert form.on.day is None
    assert form.on.data == day
    assert [str(one) for one in form.on.errors] == ["Write the date as year-month-day, like 2026-11-25"]


def test_no_day_is_no_answer():
    form = typed(on="")
    assert form.on.day is None
    assert not form.errors


def all_forms(base: type = forms.Form) -> set[type]:
    return {
        one for made in base.__subclasses__() for one in {made, *all_forms(made)} if one.__module__.startswith("crm.")
    }


def test_no_field_hides_what_every_form_can_do():
    """A field named like a method of the form would be called in its place: pages of errors would break."""
    import crm.app  # noqa: F401 - every form of the product is made by then

    assert len(all_forms()) > 8
    hiding = [
        f"{form.__module__}.{form.__name__}.{name}"
        for form in all_forms()
        for name in vars(form)
        if isinstance(vars(form)[name], wtforms.fields.core.UnboundField) and hasattr(forms.Form, name)
    ]
    assert not hiding


def test_the_summary_repeats_each_error_once_and_leads_to_its_field():
    form = typed(name="", must="", on="hier")
    assert list(form.error_list()) == [
        ("sample-name", "Write a name"),
        ("sample-must", "Choose one"),
        ("sample-on", "Write the date as year-month-day, like 2026-11-25"),
    ]


def test_a_run_of_accents_costs_no_more_than_its_length():
    """Making it regular would take seconds; a word of that length is left as it was typed."""
    run = "a" + "\u0315\u0300" * 20_000
    assert forms.clean(run) == run
    assert forms.clean("e\u0301te\u0301 " * 300) == ("\u00e9t\u00e9 " * 300).strip()


def test_a_field_of_one_line_holds_one_line_and_a_text_keeps_its_own():
    class Two(forms.Form):
        name = wtforms.StringField()
        words = wtforms.TextAreaField()

    typed = MultiDict({"name": "Jean\r\nBcc: x@x.example \n\n Li", "words": "un\r\ndeux"})
    form = Two(typed)
    assert (form.name.data, form.words.data) == ("Jean Bcc: x@x.example Li", "un\ndeux")
