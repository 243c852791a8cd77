"""A client that checks every page it fetches, and fills in the token of every form it posts."""

import contextvars
import html
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

from flask import has_app_context

from crm.db import db

HOST = "127.0.0.1:8000"
VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "path"}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids, self.labels, self.controls, self.problems = [], set(), [], []
        self.forms = []
        self.lang = self.title = ""
        self.h1 = 0
        self._in_title = False

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if "id" in a:
            self.ids.append(a["id"])
        if tag == "html":
            self.lang = a.get("lang", "")
        if tag == "title":
            self._in_title = True
        if tag == "h1":
            self.h1 += 1
        if tag == "label" and "for" in a:
            self.labels.add(a["for"])
        if tag in {"input", "select", "textarea"} and a.get("type") not in {
            "hidden",
            "checkbox",
            "radio",
            "submit",
        }:
            self.controls.append(a.get("id"))
        if tag == "form":
            self.forms.append((a.get("method", "get").lower(), []))
        if tag == "input" and self.forms:
            self.forms[-1][1].append(a.get("name"))
        if "style" in a or any(name.startswith("on") for name in a):
            self.problems.append(f"inline style or handler on <{tag}>")
        for name in ("href", "src", "action", "formaction"):
            scheme = urlsplit(a.get(name) or "").scheme
            pressed = tag == "a" and "noreferrer" in a.get(
                "rel", ""
            )  # a link that somebody presses, and that tells nothing of us
            if scheme == "javascript" or (scheme in {"http", "https"} and not pressed):
                self.problems.append(f"{tag} leads to {a[name]}")
        if tag == "script" and "src" not in a:
            self.problems.append("inline script")

    def handle_endtag(self, tag):
        if tag == "title":
            self._in_title = False

    def handle_data(self, data):
        if self._in_title:
            self.title += data


def check_page(body: str, address: str) -> None:
    """What every page owes its reader."""
    page = _Page()
    page.feed(body)
    assert page.lang in {"fr-CA", "en-CA"}, address
    assert page.title.strip(), f"{address} has no title"
    assert page.h1 == 1, f"{address} has {page.h1} main headings"
    doubled = {one for one in page.ids if page.ids.count(one) > 1}
    assert not doubled, f"{address}: the ids {doubled} stand twice"
    unlabelled = [one for one in page.controls if one not in page.labels]
    assert not unlabelled, f"{address}: {unlabelled} have no label"
    for method, names in page.forms:
        assert method in {"get", "dialog"} or "csrf_token" in names, f"{address}: a form has no token"
    assert not page.problems, f"{address}: {page.problems}"
    assert "{{" not in body, f"{address}: raw template text"


class Pages:
    """`get` and `post` as a person's browser does; `sign_in` first for staff pages."""

    def __init__(self, app) -> None:
        self.client = app.test_client()
        self.last = None

    def get(self, address: str, status: int = 200, **kwargs):
        answer = self._ask(self.client.get, address, headers={"Host": HOST, **kwargs.pop("headers", {})}, **kwargs)
        return self._check(answer, address, status)

    def post(self, address: str, data=None, status: int = 303, token: str | None = "fetch", headers=None):
        data = dict(data or {})
        if token == "fetch":
            token = self.token()
        if token:
            data["csrf_token"] = token
        answer = self._ask(self.client.post, address, data=data, headers={"Host": HOST, **(headers or {})})
        return self._check(answer, address, status)

    def _ask(self, method, *args, **kwargs):
        """A request stands in a context of its own, as on a server: the test's own transaction ends before it."""
        if has_app_context():
            db.session.commit()
        # Received whole, and closed: what a page does once it has left is done.
        return contextvars.Context().run(method, *args, buffered=True, **kwargs)

    def _check(self, answer, address: str, status: int):
        assert answer.status_code == status, f"{address} answered {answer.status_code}: {words(answer.text)[:600]}"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], address
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if answer.content_type.startswith("text/html") and status not in {301, 302, 303}:
            check_page(answer.text, address)
        self.last = answer
        return answer

    def token(self) -> str:
        found = self.last is not None and re.search(r'name="csrf_token" value="([^"]+)"', self.last.text)
        if not found:
            page = self._ask(self.client.get, "/staff/sign-in", headers={"Host": HOST})
            found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
            if not found:  # signed in already: any page of theirs has one
                page = self._ask(self.client.get, "/staff/summaries", headers={"Host": HOST})
                found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        return found[1]

    def sign_in(self, person, password: str):
        self.get("/staff/sign-in")
        self.post("/staff/sign-in", {"email": person.email, "password": password})
        return self


def words(body: str) -> str:
    """What a page says: its text without tags, spaces folded."""
    body = re.sub(r"(?s)<(script|style|title).*?</\1>", " ", body)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body))).strip()
