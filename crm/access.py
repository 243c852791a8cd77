"""Who may open an address. Every view carries exactly one of these decorators; the app refuses to start otherwise.

Answers: a person who is not signed in is asked to; a person who may not see an address gets the same 404 as for an
address that does not exist. Which rows a person sees is not decided here but by a filter in each query.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask, abort, current_app, request
from flask_login import current_user

View = TypeVar("View", bound=Callable[..., Any])


class Role(StrEnum):
    """What a person with an account may do: security reference, section 4."""

    ADMIN = "admin"
    COORDINATOR = "coordinator"
    ADVISER = "adviser"
    OBSERVER = "observer"


CASE_ROLES = frozenset({Role.ADMIN, Role.COORDINATOR, Role.ADVISER})
COORDINATING = frozenset({Role.ADMIN, Role.COORDINATOR})


@dataclass(frozen=True)
class Access:
    """`kind` is "public", "link" or "account"; `roles` counts for accounts only."""

    kind: str
    roles: frozenset[Role] = frozenset()


class SignInNeededError(Exception):
    """Raised before an address that needs an account; the accounts feature answers it."""


def public(view: View) -> View:
    """Anybody."""
    return _mark(view, Access("public"))


def by_link(view: View) -> View:
    """The holder of a signed link; the view itself opens the link, which names one object."""
    return _mark(view, Access("link"))


def case_team(view: View) -> View:
    """Staff who work on files."""
    return _mark(view, Access("account", CASE_ROLES))


def coordinators(view: View) -> View:
    """Staff who coordinate or administer."""
    return _mark(view, Access("account", COORDINATING))


def anyone_signed_in(view: View) -> View:
    """Any account, committee members included."""
    return _mark(view, Access("account", frozenset(Role)))


def _mark(view: View, access: Access) -> View:
    if hasattr(view, "access"):
        raise TypeError(f"{view.__name__} carries two access decorators")
    view.access = access  # type: ignore[attr-defined]
    return view


def refuse_views_without_access(app: Flask) -> None:
    """Called once at start: an address nobody thought about must not exist."""
    forgotten = [name for name, view in app.view_functions.items() if name != "static" and not hasattr(view, "access")]
    if forgotten:
        raise TypeError(f"these views carry no access decorator: {', '.join(sorted(forgotten))}")


def check() -> None:
    """Before each request."""
    if request.endpoint is None or request.endpoint == "static":
        return
    access: Access = getattr(current_app.view_functions[request.endpoint], "access")  # noqa: B009 - set by `_mark`
    if access.kind != "account":
        return
    if not current_user.is_authenticated:
        raise SignInNeededError
    if current_user.role not in access.roles:
        abort(404)
