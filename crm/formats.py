"""Reading what people type: telephone numbers, e-mail addresses, numbers of enterprises, postal codes, amounts. Pure. Domain reference, section 7."""

import re

from email_validator import EmailNotValidError, validate_email

LONGEST = 60
# The extension is split off before anything else: letters would be taken for keypad digits.
_EXTENSION = re.compile(r"\s*[,;]?\s*(?:postes?|extension|ext\.?|p\.|x|#)\s*[:.]?\s*([0-9]{1,8})\s*$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s.\-‐‑‒–—―−()\[\]/·\u200e\u200f\u202a-\u202e]+")


def read_phone(typed: str) -> tuple[str, str] | None:
    """(E.164 number, extension) of what was typed, or None when it has too few or too many digits.

    >>> read_phone("(438) 555 0123 poste 12")
    ('+14385550123', '12')
    """
    if len(typed) > LONGEST:
        return None
    extension = ""
    if found := _EXTENSION.search(typed):
        extension = found[1]
        typed = typed[: found.start()]
    compact = _SEPARATORS.sub("", typed)
    plus = compact.startswith("+")
    digits = compact.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return None
    if not plus and len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    if not plus:
        return (f"+1{digits}", extension) if len(digits) == 10 else None
    if digits.startswith("1") and len(digits) != 11:
        return None
    return (f"+{digits}", extension) if 8 <= len(digits) <= 15 else None


def read_email(typed: str) -> str | None:
    """The address as typed with its domain in lower case, or None when it is not one complete address."""
    try:
        found = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        return None
    local, _, domain = typed.rpartition("@")
    if not found.ascii_email or not domain.isascii():
        # An accented domain leaves as its ASCII form, which every mail server knows.
        return f"{local}@{found.ascii_domain}" if found.ascii_email else None
    return f"{local}@{domain.lower()}"


def read_neq(typed: str) -> str | None:
    """The ten digits of a Québec enterprise number, spaces and dashes of all kinds left out; None when there are not ten.

    No public rule of its check digit exists: none is applied.
    """
    digits = _SEPARATORS.sub("", typed)
    return digits if len(digits) == 10 and digits.isascii() and digits.isdigit() else None


# No D, F, I, O, Q or U anywhere; no W or Z first.
_POSTAL_CODE = re.compile(r"[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z]\d[ABCEGHJ-NPRSTV-Z]\d", re.ASCII)


def read_postal_code(typed: str) -> str | None:
    """A Canadian postal code in capitals with one space, however it was spaced or dashed; None when it is not one.

    >>> read_postal_code("h2x-1y4")
    'H2X 1Y4'
    """
    code = _SEPARATORS.sub("", typed[:LONGEST]).upper()
    return f"{code[:3]} {code[3:]}" if _POSTAL_CODE.fullmatch(code) else None


def is_of_quebec(postal_code: str) -> bool:
    """Whether a postal code begins as those of Québec do. Another letter is worth a question, never a refusal."""
    return postal_code[:1] in {"G", "H", "J"}


_WEBSITE = re.compile(r"https?://[^\s/$.?#][^\s\"<>]{2,190}", re.IGNORECASE)


def is_website(typed: str) -> bool:
    """Whether something is the full address of a page.

    >>> is_website("https://exemple.ca/prets"), is_website("exemple.ca"), is_website("javascript:alert(1)")
    (True, False, False)
    """
    return _WEBSITE.fullmatch(typed) is not None


LARGEST_AMOUNT = 10**12  # cents
_CURRENCY = re.compile(r"^(?:CA)?\$|(?:\$(?:CA)?|CAD)$", re.IGNORECASE)
# Digits, or groups of three of them behind one kind of mark; then cents behind another kind, or behind the only one.
_AMOUNT = re.compile(
    r"(\d+|\d{1,3}(?:(?P<mark>[.,])\d{3})(?:(?P=mark)\d{3})*)(?:(?!(?P=mark))[.,](\d{1,2})|)|(\d+)[.,](\d{1,2})",
    re.ASCII,
)


def read_amount(typed: str) -> int | None:
    """Whole cents of an amount in dollars, in either language's writing; None for what is not one.

    A lone comma or point before three digits marks thousands; before one or two, cents.

    >>> [read_amount(typed) for typed in ("50 000,00 $", "$50,000", "1.234,5", "50.000", "12,50")]
    [5000000, 5000000, 123450, 5000000, 1250]
    """
    bare = re.sub(r"[\s\u00a0\u202f\u2009']+", "", typed[:LONGEST]) if len(typed) <= LONGEST else ""
    found = _AMOUNT.fullmatch(_CURRENCY.sub("", bare))
    if found is None:
        return None
    dollars, cents = (found[4], found[5]) if found[4] else (found[1], found[3] or "")
    amount = int(re.sub(r"[.,]", "", dollars)) * 100 + int(cents.ljust(2, "0") or 0)
    return amount if amount <= LARGEST_AMOUNT else None


_WELL_KNOWN = (
    "gmail.com", "hotmail.com", "outlook.com", "yahoo.ca", "yahoo.com", "icloud.com", "videotron.ca", "live.ca",
    "sympatico.ca", "bell.net", "hotmail.ca", "outlook.fr", "proton.me", "protonmail.com", "umontreal.ca", "uqam.ca",
    "mcgill.ca", "concordia.ca", "desjardins.com", "cooptel.qc.ca", "hotmail.fr", "yahoo.fr", "me.com", "live.com",
)  # fmt: skip


def suggested_email(email: str) -> str | None:
    """The address with a well-known domain one slip away from the one typed, or None. It never blocks anything.

    >>> suggested_email("zoe@gmial.com")
    'zoe@gmail.com'
    """
    local, at, domain = email.rpartition("@")
    domain = domain.lower()
    if not at or domain in _WELL_KNOWN or len(domain) > 30:
        return None
    near = [known for known in _WELL_KNOWN if _one_slip(domain, known)]
    return f"{local}@{near[0]}" if near else None


def _one_slip(typed: str, meant: str) -> bool:
    """Whether one letter is missing, added, wrong, or two neighbours are swapped."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    rest, wanted = typed[start:], meant[start:]
    swapped = len(rest) > 1 and len(wanted) > 1 and rest[1] + rest[0] + rest[2:] == wanted
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]
