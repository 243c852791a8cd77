"""Signing in and out, the language of an account, and who is making this request."""

import json
from datetime import timedelta

import wtforms
from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from crm import access, clock, forms
from crm.access import Role, SignInNeededError, anyone_signed_in, public
from crm.accounts import services
from crm.accounts.models import SignIn, Staff
from crm.accounts.queries import account_address
from crm.db import db, writing
from crm.errors import page as error_page
from crm.feature import Feature
from crm.i18n import gettext, lazy, use_language
from crm.jobs import Job
from crm.security import client_network, forget_old_counts, too_often

bp = Blueprint("accounts", __name__, url_prefix="/staff")
login_manager = LoginManager()
login_manager.session_protection = None  # sessions live on the server: see SignIn
SEEN_EVERY = timedelta(minutes=1)


class Person(UserMixin):
    """The signed-in person as Flask-Login sees them: the session's token is the id that travels in the cookie."""

    def __init__(self, staff: Staff, token: str, seen: SignIn | None) -> None:
        self.staff, self.token, self.seen = staff, token, seen

    def get_id(self) -> str:
        return self.token

    @property
    def role(self) -> Role:
        return self.staff.role

    @property
    def name(self) -> str:
        return self.staff.name

    @property
    def works_on_cases(self) -> bool:
        return self.staff.role in access.CASE_ROLES

    @property
    def coordinates(self) -> bool:
        return self.staff.role in access.COORDINATING


def me() -> Staff:
    """The person making this request; only for addresses that need an account."""
    staff: Staff = current_user.staff
    return staff


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _load(token: str) -> Person | None:
    live = services.session_of(token)
    return Person(live.staff, token, live) if live else None


class SignInForm(forms.Form):
    email = wtforms.StringField(
        lazy("Email address"),
        [forms.Filled(lazy("Enter your email address"))],
        render_kw={"autocomplete": "username", "type": "email", "inputmode": "email", "spellcheck": "false"},
    )
    password = wtforms.PasswordField(
        lazy("Password"),
        [forms.Filled(lazy("Enter your password"))],
        render_kw={"autocomplete": "current-password"},
    )


@bp.get("/sign-in")
@public
def sign_in() -> str | BaseResponse:
    if current_user.is_authenticated:
        return redirect(_home(current_user.role))
    return render_template("accounts/sign_in.html", form=SignInForm(), to=request.args.get("to", ""), kept="")


@bp.post("/sign-in")
@public
def sign_in_post() -> str | BaseResponse | tuple[str, int]:
    form = SignInForm(request.form)
    to, kept = request.form.get("to", ""), request.form.get("kept", "")
    network = client_network()
    if too_often("sign-in", network, limit=30, seconds=300) or too_often(
        "sign-in", f"{network} {account_address(str(form.email.data))[:254]}", limit=10, seconds=300
    ):
        # Said in the form itself: what was typed before the session ended stays in it.
        form.email.errors = [gettext("Too many tries. Wait five minutes, then try again")]
        body = render_template("accounts/sign_in.html", form=form, to=to, kept=kept)
        return Response(body, 429, {"Retry-After": "300"})
    if not form.validate():
        return render_template("accounts/sign_in.html", form=form, to=to, kept=kept), 422
    found = services.sign_in(form.email.data, form.password.data)
    if found is None:
        form.email.errors = [gettext("This address and password do not go together, or the account is closed")]
        return render_template("accounts/sign_in.html", form=form, to=to, kept=kept), 422
    staff, token = found
    db.session.commit()
    lang = session.get("lang")
    session.clear()
    if lang:
        session["lang"] = lang
    login_user(Person(staff, token, None))
    use_language(staff.language)
    address = _own_address(to)
    if kept and address:
        return _give_back(address, kept)
    return redirect(address or _home(staff.role), 303)


def _give_back(address: str, kept: str) -> BaseResponse:
    """After a session that ended under a form: what was typed, ready to be sent to where it was going."""
    try:
        typed = [(str(name), str(value)) for name, value in json.loads(kept)]
    except (ValueError, TypeError, RecursionError):
        typed = []
    typed = [(name, value.encode("utf-8", "replace").decode()) for name, value in typed]
    return error_page(
        200,
        gettext("You are signed in again"),
        gettext("Your session had ended. Nothing is lost: check what you typed and send it."),
        kept=typed,
        action=address,
    )


@bp.post("/sign-out")
@public
def sign_out() -> BaseResponse:
    lang = language_of_browser()
    if current_user.is_authenticated:
        services.sign_out(current_user.token)
        db.session.commit()
    logout_user()
    session.clear()
    session["lang"] = lang
    response = redirect(url_for("accounts.sign_in"), 303)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def language_of_browser() -> str:
    """The language of the account, or what was chosen before signing in."""
    return me().language if current_user.is_authenticated else str(session.get("lang", "fr"))


@bp.post("/language")
@public
def language() -> BaseResponse:
    """Switch the language of the account, or of this browser before signing in; back to the same page."""
    lang = "en" if request.form.get("lang") == "en" else "fr"
    if current_user.is_authenticated:
        me().language = lang
        db.session.commit()
    else:
        session["lang"] = lang
    return redirect(_own_address(request.form.get("to", "")) or url_for("accounts.sign_in"), 303)


@bp.get("")
@anyone_signed_in
def start() -> BaseResponse:
    """The start page of a role."""
    return redirect(_home(me().role))


def _home(role: Role) -> str:
    return url_for("today.begin") if role in access.CASE_ROLES else url_for("summaries.published")


def _own_address(path: str) -> str | None:
    """A path rebuilt from one of our own routes, or None: what people send is never used as an address itself."""
    path, _, query = path.partition("?")
    adapter = current_app.create_url_adapter(request)
    if adapter is None:
        return None
    try:
        endpoint, values = adapter.match(path, method="GET")
    except HTTPException:
        try:
            endpoint, values = adapter.match(path, method="POST")
        except HTTPException:
            return None
    address = url_for(endpoint, **values)
    safe_query = query if query.isascii() and query.isprintable() and "#" not in query and len(query) < 1000 else ""
    return f"{address}?{safe_query}" if safe_query else address


def _sign_in_needed(_error: SignInNeededError) -> Response:
    if request.method == "GET":
        return redirect(url_for("accounts.sign_in", to=request.full_path.rstrip("?")))  # type: ignore[return-value]
    typed = [(n, v) for n, v in request.form.items(multi=True) if n not in {"csrf_token", "password"}]
    body = render_template(
        "accounts/sign_in.html",
        form=SignInForm(),
        to=request.path,
        kept=json.dumps(typed),
        notice=gettext("Your session has ended. Sign in and what you typed will be given back to you."),
    )
    return make_response(body, 401)


def _note_that_seen(response: Response) -> Response:
    """After the answer is made: keep the session alive, unless the database is busy."""
    person = g.get("_login_user")
    seen = getattr(person, "seen", None)
    if seen is None or request.method != "GET":
        return response
    now = clock.now()
    if now - g.get("seen_at", now) < SEEN_EVERY:
        return response
    token_hash = g.seen_key
    try:
        db.session.rollback()
        with writing(), db.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if db.engine.dialect.name == "sqlite" and raw is not None:
                raw.execute("PRAGMA busy_timeout=100")
            try:
                connection.execute(update(SignIn).where(SignIn.token_hash == token_hash).values(seen_at=now))
                connection.commit()
            finally:
                if db.engine.dialect.name == "sqlite" and raw is not None:
                    raw.execute("PRAGMA busy_timeout=10000")
    except OperationalError:
        pass
    return response


def housekeeping() -> int:
    """Destroy what only security needed, when it is too old to serve."""
    return services.forget_old_sessions() + forget_old_counts()


feature = Feature(name="accounts", blueprints=(bp,), jobs=(Job("housekeeping", housekeeping, every=600),))


def init_app(app: Flask) -> None:
    login_manager.init_app(app)
    app.register_error_handler(SignInNeededError, _sign_in_needed)

    @app.before_request
    def _who() -> None:
        if not request.path.startswith("/staff"):
            return
        if current_user.is_authenticated:
            use_language(me().language)
            g.seen_at, g.seen_key = current_user.seen.seen_at, current_user.seen.token_hash
        else:
            use_language(session.get("lang", "fr"))

    app.after_request(_note_that_seen)
    app.jinja_env.globals["me"] = current_user
