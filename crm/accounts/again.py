"""One's password asked again, before what leaves the product or changes much of it."""

import wtforms

from crm.accounts.feature import me
from crm.accounts.passwords import matches
from crm.db import db
from crm.i18n import gettext
from crm.security import too_often


def refusal(field: wtforms.Field, what: str) -> int:
    """0 when what was typed in `field` is the password of whoever asks; otherwise the status of the refusal, said in the field.

    Tries are counted under `what`. Commits: must be called before anything else was changed in this transaction. Nobody waits to write
    while a password is judged, which takes a moment on purpose.
    """
    if too_often(what, str(me().id), limit=10, seconds=300):
        field.errors = [gettext("Too many tries. Wait five minutes, then try again")]
        return 429
    known_as = me().password_hash
    db.session.commit()
    if not matches(field.data, known_as):
        field.errors = [gettext("This is not your password")]
        return 422
    return 0
