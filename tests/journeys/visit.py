"""One person's browser window. It notes whatever a page does wrong, and says so at the end of the test."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error, Locator, expect

from tests.conftest import PASSWORD
from tests.journeys.site import Site, Words

LOCALES = {"fr": "fr-CA", "en": "en-CA"}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
HEIGHT = 900
ON_VIOLATION = """
addEventListener("securitypolicyviolation", e => console.error(`policy: ${e.violatedDirective} refused ${e.blockedURI}`))
"""
AXE = """async tags => {
  const options = {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"], rules: {"target-size": {enabled: true}}}
  const found = await axe.run(document, options)
  return found.violations.flatMap(v => v.nodes.map(n => `${v.id} (${v.impact}) at ${n.target.join(" ")}: ${n.failureSummary}`))
}"""
# Whatever folds away counts too. Details that share a name close each other: without it, all stand open at once.
OPEN_ALL = "() => document.querySelectorAll('details').forEach(d => { d.removeAttribute('name'); d.open = true })"
STICKS_OUT = """() => {
  const wide = document.documentElement.clientWidth
  if (document.documentElement.scrollWidth <= innerWidth) return []
  return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > wide + 1)
    .map(e => e.tagName + "." + e.className + " " + Math.round(e.getBoundingClientRect().right)).slice(0, 8)
    .concat([`page ${document.documentElement.scrollWidth} px in a window of ${innerWidth} px`])
}"""
# WCAG 1.4.12, by a sheet made in script, which the page's policy allows.
SPACED = """() => {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync("*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}p{margin-bottom:2em!important}")
  document.adoptedStyleSheets = [sheet]
}"""
LEADS_NOWHERE = """() => [...document.querySelectorAll("a[href^='#']")]
  .map(a => a.getAttribute("href")).filter(to => !document.getElementById(to.slice(1)))"""
AT_FOCUS = """() => {
  const e = document.activeElement
  if (!e || e === document.body) return null
  const seen = e.closest(".choice") || e, style = getComputedStyle(seen), box = seen.getBoundingClientRect()
  const hit = document.elementFromPoint(box.x + Math.min(box.width / 2, 40), box.y + Math.min(box.height / 2, 20))
  return {
    tag: e.tagName, type: e.type || "", name: e.name || "", value: e.value || "", text: e.textContent.trim().replace(/\\s+/g, " "),
    id: e.id, inMain: !!e.closest("main"), checked: !!e.checked,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    onScreen: box.width > 1 && box.bottom > 0 && box.top < innerHeight && !!hit && (seen.contains(hit) || hit.contains(seen)),
  }
}"""


def axe_source() -> str:
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


class Visit:
    """`go` somewhere, do things with `page`, `check` what is shown; `close` (the fixture does) tells what went wrong."""

    def __init__(
        self,
        browser: Browser,
        site: Site,
        lang: str,
        width: int,
        *,
        person: str | None = None,
        scheme: str = "light",
        javascript: bool = True,
        judged: bool = True,
    ) -> None:
        self.site, self.lang, self.width, self.scheme, self.javascript = site, lang, width, scheme, javascript
        self.judged = judged  # whether axe looks at each page: it takes half a second
        self.w = Words(lang)
        self.problems: list[str] = []
        self.loses_network = (
            False  # set by a journey that makes requests fail: the browser reports each, at its own time
        )
        self.answers: dict[str, int] = {}  # the status of each page, by address
        if person and person not in site.sign_ins:
            site.sign_ins[person] = self._cookies_of(browser, site, person)
        self.context = browser.new_context(
            base_url=site.base,
            viewport={"width": width, "height": HEIGHT},
            color_scheme=scheme,
            java_script_enabled=javascript,
            locale=LOCALES[lang],
            reduced_motion="reduce",
            storage_state=site.sign_ins.get(person) if person else None,
        )
        self.context.set_default_timeout(30_000)
        self.context.add_init_script(ON_VIOLATION)
        self.context.on("request", self._note_request)
        self.context.on("response", self._note_response)
        self.context.on("console", self._note_console)
        self.context.on("weberror", lambda error: self.problems.append(f"page error: {error.error}"))
        self.page = self.context.new_page()

    @staticmethod
    def _cookies_of(browser: Browser, site: Site, person: str) -> dict:
        """Signed in once by the form; every later window of this person starts with these cookies."""
        site.forget_tries()
        context = browser.new_context(base_url=site.base)
        page = context.new_page()
        page.goto("/staff/sign-in")
        page.locator("#email").fill(person)
        page.locator("#password").fill(PASSWORD)
        page.locator("main button").click()
        page.wait_for_url(lambda address: "sign-in" not in address)
        kept = context.storage_state()
        context.close()
        return kept

    # --- what is noted -------------------------------------------------------------------------------------------

    def _note_request(self, request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.site.base:
            self.problems.append(f"a request left for {request.url}")

    def _note_response(self, response) -> None:
        if response.request.is_navigation_request():
            self.answers[response.url] = response.status
        if response.status >= 500 or (response.status >= 400 and not response.request.is_navigation_request()):
            self.problems.append(f"{response.url} answered {response.status}")

    def _note_console(self, message) -> None:
        if message.type not in {"error", "warning"}:
            return
        # A page that refuses (404, 409, 422) is itself reported as a resource that failed: the journey expects it.
        if message.text.startswith("Failed to load resource") and message.location["url"] in self.answers:
            return
        if self.loses_network and message.text.startswith("Failed to load resource: net::ERR_"):
            return
        self.problems.append(f"console: {message.text}")

    def close(self) -> list[str]:
        """End of the visit; gives what went wrong."""
        self.context.close()
        return self.problems

    # --- going and doing -----------------------------------------------------------------------------------------

    def go(self, address: str) -> int:
        return self.page.goto(address).status

    def back(self) -> None:
        """As the browser's own button does. The page is asked, not the browser: told to go back while it still swaps
        the page that a form led to, Chromium answers "Not attached to an active page" (Page.getNavigationHistory).
        A page that leaves before it has answered takes the answer with it: it left, which is all that was asked."""
        with self.page.expect_navigation():
            try:
                self.page.evaluate("history.back()")
            except Error as left:
                if "Execution context was destroyed" not in left.message:
                    raise

    def sign_in(self, person: str, password: str = PASSWORD) -> None:
        """By the form, from wherever the window stands on the sign-in page."""
        self.site.forget_tries()
        self.page.get_by_label(self.w("Email address")).fill(person)
        self.page.get_by_label(self.w("Password")).fill(password)
        self.button(self.w("Sign in")).click()

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    def link(self, name: str, *, exact: bool = True) -> Locator:
        return self.page.get_by_role("link", name=name, exact=exact)

    def says(self, words: str) -> None:
        """The page shows these words."""
        expect(self.page.locator("body")).to_contain_text(words)

    def action(self, title: str) -> Locator:
        """A folded form of the case page, unfolded."""
        folded = self.page.locator("details.action", has=self.page.locator("summary", has_text=title)).first
        if folded.get_attribute("open") is None:
            folded.locator("summary").click()
        return folded

    @property
    def status(self) -> int:
        return self.answers[self.page.url.partition("#")[0]]

    # --- what every page owes its reader -------------------------------------------------------------------------

    def check(self, step: str = "", *, lang: str | None = None, open_all: bool = False, axe: bool = True) -> None:
        """Accessible, in the right language, titled, and no wider than the window. With `step`, a picture of it."""
        lang = lang or self.lang
        where = f"{step or self.page.url} ({lang}, {self.width} px, {self.scheme})"
        if open_all:
            self.page.evaluate(OPEN_ALL)
        assert self.page.locator("html").get_attribute("lang") == LOCALES[lang], where
        assert self.page.title().partition(" – ")[0].strip(), f"{where} has no title"
        assert not (wide := self.page.evaluate(STICKS_OUT)), f"{where} scrolls sideways: {wide}"
        assert not (lost := self.page.evaluate(LEADS_NOWHERE)), f"{where}: {lost} lead to nothing on the page"
        if axe and self.judged:
            if not self.page.evaluate("() => 'axe' in window"):
                self.page.evaluate(axe_source())
            found = self.page.evaluate(AXE, TAGS)
            assert not found, f"{where}:\n" + "\n".join(found)
        self.picture(step, lang)

    def picture(self, step: str, lang: str | None = None) -> None:
        if step and (folder := os.environ.get("PICTURES")):
            name = f"{step}-{lang or self.lang}-{self.width}-{self.scheme}.png"
            self.page.screenshot(path=Path(folder) / name, full_page=True)

    def look(self, width: int, scheme: str) -> None:
        """The same page in another window."""
        self.width, self.scheme = width, scheme
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=scheme)

    def check_spaced(self) -> None:
        """Wider text spacing pushes nothing out of the window."""
        self.page.evaluate(SPACED)
        assert not (wide := self.page.evaluate(STICKS_OUT)), f"{self.page.url} with wide spacing: {wide}"

    def focus(self) -> dict | None:
        """What the keyboard is on."""
        return self.page.evaluate(AT_FOCUS)

    def tab(self) -> dict | None:
        self.page.keyboard.press("Tab")
        return self.focus()
