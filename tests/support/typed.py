"""What a browser would send from a page: the names and values of a form as it was shown."""

from html.parser import HTMLParser


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms = []  # (action, [(name, value), …])
        self._area = self._select = None
        self._first = True

    def handle_starttag(self, tag, attrs):
        a = {name: value if value is not None else "" for name, value in attrs}
        if tag == "form":
            self.forms.append((a.get("action", ""), []))
        if not self.forms:
            return
        fields = self.forms[-1][1]
        if tag == "input" and a.get("name"):
            if a.get("type") not in {"radio", "checkbox"} or "checked" in a:
                fields.append((a["name"], a.get("value", "")))
        elif tag == "textarea":
            self._area, self._first = [a["name"], ""], True
        elif tag == "select":
            self._select = [a["name"], None, None]
        elif tag == "option" and self._select:
            if self._select[1] is None:
                self._select[1] = a.get("value", "")
            if "selected" in a:
                self._select[2] = a.get("value", "")

    def handle_data(self, data):
        if self._area:
            if self._first and data.startswith("\n"):
                data = data[1:]
            self._first = False
            self._area[1] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self._area:
            self.forms[-1][1].append(tuple(self._area))
            self._area = None
        if tag == "select" and self._select:
            name, first, chosen = self._select
            self.forms[-1][1].append((name, chosen if chosen is not None else first))
            self._select = None


def forms_of(body: str) -> list[tuple[str, dict[str, list[str]]]]:
    """Each form's address and its values by name."""
    parser = _Forms()
    parser.feed(body)
    found = []
    for action, fields in parser.forms:
        values: dict[str, list[str]] = {}
        for name, value in fields:
            values.setdefault(name, []).append(value)
        found.append((action, values))
    return found


def form_with(body: str, name: str) -> tuple[str, dict[str, list[str]]]:
    """The form that holds a field of this name."""
    return next(form for form in forms_of(body) if name in form[1])
