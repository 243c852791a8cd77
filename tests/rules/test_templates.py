"""What every template owes its reader, read from its syntax tree: nothing here renders a page."""

import re
from itertools import pairwise

import pytest
from jinja2 import nodes

from crm.config import LANGUAGES, ROOT
from crm.forms import Form

FOLDER = ROOT / "crm" / "templates"
NAMES = sorted(file.relative_to(FOLDER).as_posix() for file in FOLDER.rglob("*.html"))
LAYOUTS = {"intake/request.html", "base.html", "staff.html", "public.html"}


@pytest.fixture
def read(product):
    """The source of a template and its tree."""

    def get(name: str) -> tuple[str, nodes.Template]:
        source = (FOLDER / name).read_text(encoding="utf-8")
        return source, product.jinja_env.parse(source, name)

    return get


def html_of(tree: nodes.Template) -> str:
    """The HTML typed in a template, with "·" where something is computed."""
    parts = []

    def walk(node):
        if isinstance(node, nodes.TemplateData):
            parts.append(node.data)
        elif isinstance(node, nodes.Expr):
            parts.append("·")
        else:
            for child in node.iter_child_nodes():
                walk(child)

    walk(tree)
    return "".join(parts)


def test_the_templates_were_looked_for_in_the_right_place(product):
    assert len(NAMES) > 15
    assert set(NAMES) == {name for name in product.jinja_env.list_templates() if name.endswith(".html")}


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles(product, name):
    product.jinja_env.get_template(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_a_title_of_its_own(read, name):
    _source, tree = read(name)
    if name in LAYOUTS or not tree.find(nodes.Extends):
        return
    titles = [block for block in tree.find_all(nodes.Block) if block.name == "title"]
    assert len(titles) == 1
    said = [node for node in titles[0].body if not (isinstance(node, nodes.Output) and not html_of(node).strip())]
    assert said, "the title block is empty"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_typed_by_people_is_declared_safe(read, name):
    source, tree = read(name)
    unsafe = [f.lineno for f in tree.find_all(nodes.Filter) if f.name == "safe" and not isinstance(f.node, nodes.Const)]
    assert not unsafe, f"{name}: |safe on something computed, lines {unsafe}"
    assert not [call.lineno for call in tree.find_all(nodes.Call) if getattr(call.node, "name", "") == "Markup"]
    assert not list(tree.find_all(nodes.MarkSafe))
    assert "autoescape" not in source


@pytest.mark.parametrize("name", NAMES)
def test_no_style_handler_or_script_stands_in_a_page(read, name):
    """The Content-Security-Policy refuses them: they would do nothing."""
    source, _tree = read(name)
    assert not re.findall(r"<style\b|\bstyle\s*=", source, re.IGNORECASE)
    assert not re.findall(r"<[^>]*\son[a-z]+\s*=", source, re.IGNORECASE)
    assert not re.findall(r"<script\b(?![^>]*\bsrc\s*=)", source, re.IGNORECASE)
    assert "javascript:" not in source.lower()


@pytest.mark.parametrize("name", NAMES)
def test_no_page_asks_anything_of_another_site(read, name):
    source, _tree = read(name)
    assert not re.findall(r"https?://|[\"'(]//\w", source)


@pytest.mark.parametrize("name", NAMES)
def test_no_template_asks_which_language_is_spoken(read, name):
    """A page that says something in one language only, or counts by the other's rules, begins with such a test."""
    _source, tree = read(name)
    wrong = [
        compare.lineno
        for compare in tree.find_all(nodes.Compare)
        for side in (compare.expr, *(operand.expr for operand in compare.ops))
        if (isinstance(side, nodes.Const) and side.value in LANGUAGES)
        or (isinstance(side, nodes.Name) and side.name in {"lang", "other_lang"})
    ]
    wrong += [
        test.lineno
        for test in (*tree.find_all(nodes.If), *tree.find_all(nodes.CondExpr))
        if isinstance(test.test, nodes.Name) and test.test.name in {"lang", "other_lang"}
    ]
    assert not wrong, f"{name}: a language test, lines {wrong}"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "macros.html"])  # macros are made of attributes
def test_every_word_a_page_says_comes_from_the_catalogue_or_the_texts(read, name):
    """Words typed in a template would be the same in French and in English."""
    _source, tree = read(name)
    for block in tree.find_all(nodes.Block):
        if block.name == "body_class":
            block.body = []
    html = re.sub(r"<meta[^>]*>", "", html_of(tree))
    said = re.findall(r"\b(?:title|aria-label|placeholder|alt)=\"([^\"]*)\"", html)
    said.append(re.sub(r"<[^>]*>|&\w+;", " ", html))
    assert not re.findall(r"[^\W\d_]{2,}", " ".join(said))


@pytest.mark.parametrize(
    "name",
    NAMES,
)
def test_every_macro_that_is_imported_is_used(read, name):
    _source, tree = read(name)
    imported = {
        one[1] if isinstance(one, tuple) else one for block in tree.find_all(nodes.FromImport) for one in block.names
    }
    used = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"}
    assert not imported - used


@pytest.mark.parametrize("name", NAMES)
def test_headings_do_not_skip_a_level(read, name):
    _source, tree = read(name)
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", html_of(tree))]
    assert not [(upper, lower) for upper, lower in pairwise(levels) if lower > upper + 1]


def test_the_fields_of_a_form_know_nothing_but_the_form(read):
    """They are drawn once a day for everybody: a name, a token or an address in them would be shown to others."""
    drawn = {form.template for form in Form.__subclasses__() if form.template}
    assert len(drawn) > 5
    for name in drawn:
        _source, tree = read(name)
        macros = {macro for one in tree.find_all(nodes.FromImport) for macro in one.names}
        assert {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"} - macros <= {"form"}, name
        assert {one.template.value for one in tree.find_all(nodes.FromImport)} <= {"macros.html"}, name
