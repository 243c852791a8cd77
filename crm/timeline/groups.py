"""The kinds of events as people tell them apart: what a history is narrowed to. Pure."""

# The longest beginning of a kind that is here says its group. In the order in which they are offered.
GROUPS: dict[str, tuple[str, ...]] = {
    "notes": ("note.", "import.note"),
    "contacts": ("exchange.",),
    "talks": ("talk.",),
    "messages": ("message.", "person.", "request.", "introduction.", "survey.", "mail.", "rights."),
    "moves": ("case.", "duplicate.", "import."),
    "facts": ("case.assessed", "case.corrected", "correction.", "founder.", "tag.", "need.", "milestone."),
    "referrals": ("referral.", "financing."),
    "documents": ("document.",),
    "permissions": ("permission.", "consent."),
    "follow_ups": ("follow_up.", "reminder."),
}


def group_of(kind: str) -> str:
    """The group of a kind of event; empty for one that is of no file.

    >>> group_of("case.moved"), group_of("case.assessed"), group_of("summary.published")
    ('moves', 'facts', '')
    """
    found = [(len(start), name) for name, starts in GROUPS.items() for start in starts if kind.startswith(start)]
    return max(found)[1] if found else ""
