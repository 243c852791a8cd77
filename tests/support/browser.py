"""A browser without a screen, over a real connection to a real server."""

import http.client
import re
from urllib.parse import urlencode

from tests.support.asking import START
from tests.support.server import LONGEST_WAIT


class Browser:
    """Keeps its own cookies and the token of the page it saw last."""

    def __init__(self, port: int, network: str = "") -> None:
        """`network` is an address that a trusted proxy says the browser asks from."""
        self.port, self.cookies, self.token = port, {}, ""
        self.from_where = {"X-Forwarded-For": network} if network else {}
        self.get(START["fr"])

    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def headers(self):
        return {"Cookie": self.cookie()} | self.from_where

    def get(self, path):
        return self._note(over_the_wire(self.port, "GET", path, headers=self.headers()))

    def post(self, path, data):
        body = urlencode({**data, "csrf_token": self.token}, doseq=True)
        return self._note(over_the_wire(self.port, "POST", path, body, self.headers()))

    def _note(self, answer):
        for value in answer[1].get_all("Set-Cookie") or ():
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        if found := re.search(r'name="csrf_token" value="([^"]+)"', answer[2]):
            self.token = found[1]
        return answer


def over_the_wire(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_WAIT)
    sent = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, path, body, sent | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()
