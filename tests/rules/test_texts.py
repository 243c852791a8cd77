"""French and English: complete, alike, well typed, and never asked for in vain."""

import ast
import fnmatch
import importlib
import pkgutil
import re
from collections.abc import Iterator
from enum import StrEnum

import polib
import pytest
from jinja2 import nodes

import crm
from crm import i18n, texts
from crm.app import FEATURES
from crm.config import LANGUAGES, ROOT
from crm.outbox.services import programme_values
from crm.referrals.services import FIELDS
from crm.reminders.rules import DEFAULT
from crm.timeline.sentences import tell
from tests.rules.sources import calls, imported_from, modules, name_of, patterns, where
from tools import catalogue, french

NBSP = i18n.NBSP
SENTENCES = [sentence for feature in FEATURES for sentence in feature.event_sentences]
MESSAGES = [message for feature in FEATURES for message in feature.messages]


# --- the catalogue -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_catalogue_is_fresh_and_complete(lang):
    assert catalogue.problems(lang) == []


def entries(lang: str) -> list[polib.POEntry]:
    return list(polib.pofile(str(catalogue.path_of(lang))))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_message(lang):
    def names(text: str) -> set[str]:
        return set(re.findall(r"%\((\w+)\)[sd]", text))

    wrong = []
    for entry in entries(lang):
        wanted = names(entry.msgid) | names(entry.msgid_plural)
        said = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
        # A singular may say the number in letters; everything else is the same everywhere.
        wrong += [entry.msgid for text in said if not wanted - {"num"} <= names(text) <= wanted]
        wrong += [entry.msgid for text in said if text.count("%") != text.count("%(") + 2 * text.count("%%")]
    assert not wrong


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_plural_has_both_its_forms(lang):
    plurals = [entry for entry in entries(lang) if entry.msgid_plural]
    assert not [
        entry.msgid
        for entry in plurals
        if sorted(entry.msgstr_plural) != [0, 1] or not all(entry.msgstr_plural.values())
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_compiled_catalogue_is_the_one_that_is_written(lang):
    compiled = polib.mofile(str(catalogue.path_of(lang).with_suffix(".mo")))
    assert {e.msgid: (e.msgstr, e.msgstr_plural) for e in compiled} == {
        e.msgid: (e.msgstr, e.msgstr_plural) for e in entries(lang)
    }, "run: make texts"


# --- French as Québec writes it ------------------------------------------------------------------------------------


def all_french() -> list[tuple[str, str]]:
    """The catalogue, the texts, the directory that ships and the programme's facts."""
    import tomllib

    found = french.french_texts()
    for file in ("crm/partners/directory.toml", "crm/programme.toml"):
        facts = tomllib.loads((ROOT / file).read_text(encoding="utf-8"))
        found += [(f"{file}: {name}", value[0]) for name, value in _lists(facts) if isinstance(value[0], str)]
    return found


def _lists(facts: dict, start: str = "") -> Iterator[tuple[str, list]]:
    """The lists of a file of facts, with where each stands."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _lists(value, f"{start}{name}.")
        elif isinstance(value, list):
            yield f"{start}{name}", value


def test_every_french_text_is_typed_as_quebec_does():
    found = all_french()
    assert len(found) > 500
    wrong = [f"{where_}: {problem}" for where_, text in found for problem in french.problems(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("straight apostrophe", "l'équipe"),
        ("straight quotation mark", 'dites "oui"'),
        ("three points for an ellipsis", "Choisissez..."),
        ("no no-break space before a colon", "La suite : demain"),
        ("no no-break space before a colon", "{reference} : fermé"),
        ("no space before a colon", "La suite: demain"),
        ("no space before a colon", "Rappel: {title}"),
        ("no no-break space before a per cent or dollar sign", "25 %"),
        ("no no-break space before a per cent or dollar sign", "25%"),
        ("no no-break space before a per cent or dollar sign", "50 000 $"),
        ("no no-break space before a per cent or dollar sign", "{value}%"),
        ("no no-break space inside « »", "« oui »"),
        ("no no-break space inside « »", "«oui»"),
        ("no no-break space inside « »", f"«{NBSP}oui »"),
        ("no no-break space inside « »", f"« oui{NBSP}»"),
        ("space before ; ! ?", "Pourquoi ?"),
        ("space before ; ! ?", f"Pourquoi{NBSP}?"),
        ("space before ; ! ?", "Oui ; non"),
        ("space before ; ! ?", "Merci\u202f!"),
        ("banned word", "votre e-mail"),
        ("banned word", "votre mail"),
        ("banned word", "un Email"),
        ("banned word", "projets éligibles"),
        ("banned word", "le comité aviseur"),
        ("banned word", "adresser un problème"),
        ("banned word", "référer un projet"),
    ],
)
def test_the_checker_sees_a_fault(fault, text):
    assert {problem.partition(": …")[0] for problem in french.problems(text)} == {fault}


@pytest.mark.parametrize("word", ["éligible", "éligibles", "e-mail", "emails"])
def test_the_checker_sees_a_banned_word_wherever_it_stands(word):
    assert french.problems(f"{word.capitalize()}, dit-on")
    assert french.problems(f"un {word}.")


@pytest.mark.parametrize(
    "text",
    [
        "l’équipe",
        f"«{NBSP}oui{NBSP}»",
        f"La suite{NBSP}: demain",
        f"25{NBSP}%",
        f"50{NBSP}000{NBSP}$",
        "Pourquoi? Oui; non!",
        "Choisissez…",
        "à 14:30",
        "https://passerelle.example/fr/",
        "mailto:bonjour@passerelle.example",
        "Écrivez à {email} ou au %(phone)s",
        "un courriel; des courriels indésirables",
        "%(num)s dossiers",
        "inéligibilité",
        "préférer",
    ],
)
def test_the_checker_leaves_right_french_alone(text):
    assert french.problems(text) == []


@pytest.mark.parametrize(
    ("typed", "mended"),
    [
        ("l'équipe", "l’équipe"),
        ("La suite : «oui»", f"La suite{NBSP}: «{NBSP}oui{NBSP}»"),
        ("25 % ...", f"25{NBSP}% …"),
        ("Pourquoi ?", "Pourquoi?"),
        ("50 000 $", f"50 000{NBSP}$"),
    ],
)
def test_what_a_machine_can_mend_is_mended_once_and_for_all(typed, mended):
    assert french.mend(typed) == mended
    assert french.mend(mended) == mended


# --- pairs ---------------------------------------------------------------------------------------------------------


def test_every_text_of_the_product_is_a_pair():
    found = texts.load(ROOT / "crm")
    assert len(found) > 400
    assert all(set(pair) == set(LANGUAGES) and all(text.strip() for text in pair.values()) for pair in found.values())


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('title = ["Titre"]', "a pair of French and English is needed"),
        ('title = ["Titre", ""]', "a pair of French and English is needed"),
        ('title = ["", "Title"]', "a pair of French and English is needed"),
        ('title = ["Titre", "Title", "Titel"]', "a pair of French and English is needed"),
        ('title = "Title"', "a pair of French and English is needed"),
        ("title = 3", "a pair of French and English is needed"),
        ('title = ["Bonjour {name}", "Hello"]', "the placeholders differ"),
        ('title = ["Bonjour {nom}", "Hello {name}"]', "the placeholders differ"),
    ],
)
def test_a_text_that_is_missing_in_a_language_is_refused_at_the_start(tmp_path, entry, said):
    (tmp_path / "feature").mkdir()
    (tmp_path / "feature" / "texts.toml").write_text(f"[home]\n{entry}\n", encoding="utf-8")
    with pytest.raises(texts.TextError, match=f"feature.home.title: {said}"):
        texts.load(tmp_path)


def test_what_people_type_is_never_read_as_a_template():
    assert texts.fill("Bonjour {name}, {project}", {"name": "{project}", "project": "P"}) == "Bonjour {project}, P"


def test_english_is_canadian_and_keeps_french_typography_out():
    english = [*texts.everything().items(), *((e.msgid, {"en": e.msgstr}) for e in entries("en"))]
    assert not [key for key, pair in english if re.search("[«»]|\u00a0[:%]", pair["en"])]
    american = r"(?i)\b(?:colors?|centers?|favors?|labors?|neighborhoods?|programs?|canceled|organisations?)\b"
    assert not [key for key, pair in english if re.search(american, re.sub(r"\{\w+\}|%\(\w+\)s", "", pair["en"]))]


# --- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind)
def test_a_message_has_a_subject_of_one_line_and_a_body(message):
    subject, body = texts.pair(f"{message.texts}.subject"), texts.pair(f"{message.texts}.body")
    for lang in LANGUAGES:
        assert subject[lang].strip() == subject[lang]
        assert "\n" not in subject[lang]
        assert len(subject[lang]) <= 78
        assert body[lang].endswith("\n")
        assert body[lang].count("\n") > 3


def test_no_message_is_written_that_nobody_sends():
    written = {key.rpartition(".")[0] for key in texts.everything() if ".mail." in key}
    assert written == {message.texts for message in MESSAGES}


def queued() -> dict[str, set[str]]:
    """The values given to each kind of message, by kind, wherever it is queued."""
    found = {}
    for tree in modules().values():
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in calls(function, "queue"):
                values = next((keyword.value for keyword in call.keywords if keyword.arg == "values"), None)
                if isinstance(values, ast.Name):
                    values = next(
                        node.value
                        for node in ast.walk(function)
                        if isinstance(node, ast.Assign | ast.AnnAssign)
                        and name_of(node.targets[0] if isinstance(node, ast.Assign) else node.target) == values.id
                    )
                if isinstance(values, ast.Call):  # a function of the same module makes them, for more than one use
                    maker = next(
                        one
                        for one in ast.walk(tree)
                        if isinstance(one, ast.FunctionDef) and one.name == name_of(values.func)
                    )
                    made = (node.value for node in ast.walk(maker) if isinstance(node, ast.Return))
                    values = next(one for one in made if isinstance(one, ast.Dict))
                if isinstance(values, ast.Dict) and call.args:
                    for kind in _kinds(call.args[0], function):
                        found.setdefault(kind, set()).update(key.value for key in values.keys)
    return found


def _kinds(kind: ast.expr, function: ast.FunctionDef) -> list[str]:
    """The kind that is queued; where it is handed in, every kind that the callers of the function name, in whatever module."""
    if isinstance(kind, ast.Constant):
        return [kind.value]
    if isinstance(kind, ast.JoinedStr):
        return patterns(kind, function)
    place = [argument.arg for argument in function.args.args].index(kind.id)
    handed = [
        call.args[place] for tree in modules().values() for call in calls(tree, function.name) if len(call.args) > place
    ]
    return [one.value for one in handed if isinstance(one, ast.Constant)]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.kind)
def test_every_placeholder_of_a_message_is_filled(message, product):
    given = queued()
    with product.app_context():
        always = set(programme_values("fr"))
    for part in ("subject", "body"):
        wanted = set(texts.PLACEHOLDER.findall(texts.pair(f"{message.texts}.{part}")["fr"]))
        values = {name for kind in given if fnmatch.fnmatchcase(message.kind, kind) for name in given[kind]}
        assert wanted <= values | always


# --- keys that code and templates ask for --------------------------------------------------------------------------

ONE, GROUP = {"text", "pair"}, {"label", "choices", "words", "with_blank", "group"}


def asked() -> list[tuple[str, str, list[str]]]:
    """(where, function, what the key can be) of every text that the code asks for."""
    found = []
    for file, tree in modules().items():
        ours = imported_from(tree, "crm.texts") | {"with_blank"}
        for call in calls(tree, *(ours & (ONE | GROUP))):
            if isinstance(call.func, ast.Name) and call.args:
                found.append((where(file, call), call.func.id, patterns(call.args[0], tree)))
    return found


def asked_in_templates(product) -> list[tuple[str, str, str]]:
    found = []
    for file in sorted((ROOT / "crm" / "templates").rglob("*.html")):
        name = file.relative_to(ROOT / "crm" / "templates").as_posix()
        tree = product.jinja_env.parse(file.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            if (
                isinstance(call.node, nodes.Name)
                and call.node.name in ONE | GROUP
                and isinstance(call.args[0], nodes.Const)
            ):
                found.append((f"{name}:{call.lineno}", call.node.name, call.args[0].value))
    return found


def exists(function: str, key: str) -> bool:
    if function in GROUP:
        return bool(texts.group(key)) if "*" not in key else True
    return bool(fnmatch.filter(texts.everything(), key))


def test_every_text_that_the_code_asks_for_exists():
    found = asked()
    assert len(found) > 50
    wrong = [f"{place}: {key}" for place, function, keys in found for key in keys if not exists(function, key)]
    assert not wrong, "\n".join(wrong)


def test_every_text_that_a_template_asks_for_exists(product):
    found = asked_in_templates(product)
    assert len(found) > 50
    wrong = [f"{place}: {key}" for place, function, key in found if not exists(function, key)]
    assert not wrong, "\n".join(wrong)


def test_every_refusal_has_its_words():
    """`Refusal("key", …)` of a feature and `refused("key")` of referrals are told from that feature's texts."""
    found = []
    for file, tree in modules().items():
        for call in calls(tree, "Refusal"):
            feature = next((keyword.value.value for keyword in call.keywords if keyword.arg == "feature"), "cases")
            found += [(where(file, call), f"{feature}.refusal.{key}") for key in patterns(call.args[0], tree)]
        if file.parent.name == "referrals":
            found += [(where(file, call), f"referrals.refusal.{call.args[0].value}") for call in calls(tree, "refused")]
    assert len(found) > 15
    assert not [(place, key) for place, key in found if key not in texts.everything()]


# --- vocabularies --------------------------------------------------------------------------------------------------

# Every enum that the database repeats, and where its words are. None: people never read its codes.
VOCABULARIES = {
    "crm.privacy.models.Right": "privacy.right",
    "crm.privacy.models.Outcome": "privacy.outcome",
    "crm.privacy.models.Risk": "privacy.risk",
    "crm.summaries.models.Format": None,  # files are named where they are offered
    "crm.summaries.models.State": "summaries.state",
    "crm.summaries.periods.Kind": None,  # a period is named by its months or its days
    "crm.access.Role": None,  # accounts are made on the command line
    "crm.activities.models.Kind": "activities.kind",
    "crm.activities.models.Audience": "activities.audience",
    "crm.activities.models.Spoken": "activities.spoken",
    "crm.activities.models.State": "activities.state",
    "crm.bulk.models.RunState": None,  # each has its own page
    "crm.bulk.models.ItemState": None,
    "crm.imports.models.ImportState": "imports.state",
    "crm.imports.models.RowState": "imports.row",
    "crm.surveys.models.Going": "surveys.going",
    "crm.mailbox.models.State": "mailbox.state",
    "crm.mailbox.models.Why": "mailbox.why",
    "crm.mailbox.parsing.Sort": None,  # told by what is done with it
    "crm.reminders.rules.Repeat": "reminders.repeat",
    "crm.reminders.rules.Unit": "reminders.unit",
    "crm.cases.vocabulary.Stage": "cases.stage",
    "crm.cases.vocabulary.Turn": "cases.turn",
    "crm.cases.vocabulary.ClosingReason": "cases.closing_reason",
    "crm.cases.vocabulary.ProjectStage": "cases.project_stage",
    "crm.cases.vocabulary.LegalForm": "cases.legal_form",
    "crm.cases.vocabulary.Need": "cases.need",
    "crm.cases.vocabulary.NeedState": "cases.need_state",
    "crm.cases.vocabulary.CheckResult": "cases.check_result",
    "crm.cases.vocabulary.PreferredLanguage": "cases.language",
    "crm.cases.vocabulary.ContactMode": "cases.contact_mode",
    "crm.cases.vocabulary.Source": "cases.source",
    "crm.cases.vocabulary.ExchangeKind": "cases.exchange_kind",
    "crm.cases.vocabulary.ExchangeDirection": "cases.exchange_direction",
    "crm.cases.vocabulary.ExchangeResult": "cases.exchange_result",
    "crm.duplicates.matching.Reason": "duplicates.reason",
    "crm.duplicates.models.Verdict": None,  # each has its own sentence where it is told
    "crm.intake.models.Agreed": "intake.agreed",
    "crm.intake.models.Answer": None,  # each has its own sentence
    "crm.financing.rules.Status": "financing.status",
    "crm.partners.vocabulary.Instrument": "partners.instrument",
    "crm.files.kinds.FileKind": "files.kind",
    "crm.files.kinds.FileRefusal": "files.refusal",
    "crm.robots.Suspicion": "intake.suspicion",
    "crm.links.models.Purpose": None,
    "crm.outbox.models.Status": "outbox.status",
    "crm.outbox.models.Why": "outbox.why",
    "crm.partners.vocabulary.BodyKind": "partners.kind",
    "crm.partners.review.Standing": "partners.standing",
    "crm.directory.matching.Criterion": "directory.criterion",
    "crm.directory.matching.Verdict": "directory.verdict",
    "crm.directory.matching.Fit": "directory.fit",
    "crm.permissions.models.How": "permissions.how",
    "crm.permissions.models.Purpose": "permissions.purpose",
    "crm.portal.models.CorrectionState": "portal.correction_state",
    "crm.portal.models.About": None,  # an earlier way to ask for a correction
    "crm.portal.rules.Turn": "portal.turn",
    "crm.referrals.outcomes.Status": "referrals.status",
    "crm.referrals.outcomes.DeclineReason": "referrals.decline_reason",
    "crm.referrals.outcomes.EndedBy": "referrals.ended_by",
    "crm.referrals.outcomes.Outcome": "referrals.outcome",
    "crm.referrals.outcomes.SupportUnit": "referrals.support_unit",
    "crm.referrals.outcomes.Action": None,  # what people do has a button or an event of its own
    "crm.referrals.outcomes.Actor": None,
    "crm.reminders.models.State": "reminders.state",
    "crm.talks.models.Mode": "talks.mode",
    "crm.talks.models.TalkState": "talks.outcome",  # what came of a talk: all but "booked"
    "crm.texts.facts.Kind": None,
    "crm.timeline.models.ActorKind": None,
}


def enums() -> dict[str, type[StrEnum]]:
    found = {}
    for module in pkgutil.walk_packages(crm.__path__, "crm."):
        if ".demo" in module.name:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, StrEnum) and value.__module__.startswith("crm."):
                found[f"{value.__module__}.{value.__name__}"] = value
    return found


def test_every_enum_says_where_its_words_are():
    assert set(enums()) == set(VOCABULARIES)


@pytest.mark.parametrize("name", [name for name, prefix in VOCABULARIES.items() if prefix])
def test_every_code_has_a_label_in_both_languages_and_no_label_is_without_a_code(name):
    codes = {member.value for member in enums()[name]} - ({"booked"} if name.endswith("TalkState") else set())
    labels = texts.group(VOCABULARIES[name])
    assert set(labels) == codes
    for lang in LANGUAGES:
        with i18n.speaking(lang):
            assert all(texts.label(VOCABULARIES[name], code) == labels[code][lang] for code in codes)


@pytest.mark.parametrize(
    ("options", "vocabulary"),
    [
        ("intake.option.lang_pref", "cases.language"),
        ("intake.option.contact_role", "cases.contact_role"),
        ("intake.option.stage", "cases.project_stage"),
    ],
)
def test_what_the_public_chooses_from_is_what_staff_read(options, vocabulary):
    assert list(texts.group(options)) == list(texts.group(vocabulary))


def test_every_legal_form_offered_to_the_public_is_one_that_is_kept():
    offered = {*texts.group("intake.option.legal_form"), *texts.group("intake.option.coop_type")}
    assert offered <= set(texts.group("cases.legal_form"))


def test_each_field_that_may_be_shared_is_named_to_the_person_to_staff_and_to_the_body():
    assert list(texts.group("permissions.field")) == list(texts.group("referrals.field")) == list(FIELDS)


def test_every_follow_up_that_a_rule_plans_has_its_words():
    planned = (
        {
            key
            for file, tree in modules().items()
            for call in calls(tree, "plan_by_rule", "plan_once")
            for key in patterns(call.args[1], tree)
            if key != "*"  # passed on by `set_rule_date`, whose own calls name it, or a step of the plan
            if file.parent.name in {"reminders", "talks", "referrals", "financing", "directory", "portal", "mailbox"}
        }
        | {step.rule for step in DEFAULT}
        | {
            keyword.value.value
            for tree in modules().values()
            for call in calls(tree, "_make")
            for keyword in call.keywords
            if keyword.arg == "rule" and isinstance(keyword.value, ast.Constant)
        }
    )
    assert len(planned) > 10
    assert planned == set(texts.group("reminders.rule"))


# --- what happened -------------------------------------------------------------------------------------------------


def recorded() -> list[tuple[str, str]]:
    """(where, what the kind can be) of every event that the code records; a folder's `_tell` puts its word before what it is given."""
    found = []
    for file, tree in modules().items():
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        teller = functions.pop("_tell", None)
        words = [kind for call in calls(teller, "record") for kind in patterns(call.args[0], teller)] if teller else []
        for function in functions.values():
            found += [
                (where(file, call), kind)
                for call in calls(function, "record")
                for kind in patterns(call.args[0], function)
            ]
            found += [
                (where(file, call), word.replace("*", kind))
                for call in calls(function, "_tell")
                for kind in patterns(call.args[0], function)
                for word in words
            ]
    return found


def test_every_event_that_is_recorded_is_declared():
    declared = [sentence.kind for sentence in SENTENCES]
    found = recorded()
    assert len(found) > 20
    assert not [(place, kind) for place, kind in found if not fnmatch.filter(declared, kind)]


def test_every_event_that_is_declared_is_recorded_somewhere():
    found = {kind for _place, kind in recorded()}
    assert not [one.kind for one in SENTENCES if not any(fnmatch.fnmatchcase(one.kind, kind) for kind in found)]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.kind)
def test_an_event_is_a_thing_that_happened_and_fits_its_column(sentence):
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+", sentence.kind)
    assert len(sentence.kind) <= 40
    assert not sentence.codes & sentence.detail
    assert set(sentence.labels or {}) <= {*sentence.codes, "from", "to", "closing_reason", "decline_reason"}
    assert sentence.body is None or sentence.body in sentence.detail
    assert all(texts.group(prefix) for prefix in (sentence.labels or {}).values())


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.kind)
def test_an_event_is_told_without_a_gap(sentence, lang, product):
    labels = sentence.labels or {}
    written = {"instant": "2026-11-25T19:30:00+00:00", "day": "2026-11-25", "minutes": 25, "amount": 5_000_000}
    samples = {key: written[how] for key, how in (sentence.formats or {}).items()}
    codes = {
        key: next(iter(texts.group(labels[key]))) if key in labels else samples.get(key, 7)
        for key in sentence.codes
        if key not in (sentence.stands_in or {})
    }
    detail = {key: f"<{key}>" for key in sentence.detail}
    with product.app_context(), i18n.speaking(lang):
        told = tell(sentence.kind, codes, detail)
        destroyed = tell(sentence.kind, codes, None)
    wanted = set(texts.PLACEHOLDER.findall(texts.pair(sentence.text)[lang]))
    assert wanted <= sentence.codes | sentence.detail
    assert "{" not in told.sentence + destroyed.sentence
    assert all(f"<{key}>" in told.sentence for key in wanted & sentence.detail)
    assert not [key for key in labels if key in wanted and codes[key] in told.sentence.split()]
    for key, detail_key in (sentence.stands_in or {}).items():
        code = next(iter(texts.group(labels[key])))
        with product.app_context(), i18n.speaking(lang):
            assert texts.label(labels[key], code) in tell(sentence.kind, codes | {key: code}, None).sentence, detail_key
    assert destroyed.sentence.count("…") >= len(wanted & sentence.detail)
    assert destroyed.body == ""
    assert told.body == (f"<{sentence.body}>" if sentence.body else "")


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.kind)
def test_the_history_knows_how_to_draw_an_event(sentence):
    assert sentence.tone in {"internal", "outgoing", "incoming", "move", "referral", "contact", "reminder", "failed"}
