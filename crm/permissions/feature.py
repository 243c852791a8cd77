"""Plugs permissions into the history; giving and withdrawing happen on the pages of referrals."""

from crm.cases.merging import rows_of
from crm.feature import Feature
from crm.permissions import annex, newsletter
from crm.permissions.models import Consent
from crm.timeline.sentences import Sentence

_KEYS = frozenset({"permission", "body"})

feature = Feature(
    name="permissions",
    merge=(rows_of(Consent),),  # permissions move with their referrals
    blueprints=(newsletter.bp,),
    annex=(annex.lines,),
    event_sentences=(
        Sentence("permission.given", "permissions.event.given", "internal", _KEYS, frozenset({"body_name"})),
        Sentence(
            "consent.given",
            "permissions.event.consent",
            "incoming",
            frozenset({"purpose"}),
            labels={"purpose": "permissions.purpose"},
        ),
        Sentence(
            "consent.withdrawn",
            "permissions.event.consent_withdrawn",
            "incoming",
            frozenset({"purpose"}),
            labels={"purpose": "permissions.purpose"},
        ),
        Sentence("permission.withdrawn", "permissions.event.withdrawn", "internal", _KEYS, frozenset({"body_name"})),
    ),
)
