"""Sealing what must not lie readable in the database: drafts, and what a person needs arranged.

AES-256-GCM with a key made from the secret key. A seal belongs to one row: moved to another row it opens nothing.
"""

import secrets
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app

NONCE = 12  # bytes


def seal(text: str, row: str) -> bytes:
    """The text, unreadable without the secret key, and bound to the row named."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + _cipher().encrypt(nonce, text.encode("utf-8", "replace"), row.encode())


def unseal(sealed: bytes, row: str) -> str | None:
    """The text again; None when it was sealed for another row, with another key, or changed since."""
    try:
        return _cipher().decrypt(sealed[:NONCE], sealed[NONCE:], row.encode()).decode()
    except (InvalidTag, ValueError):
        return None


def _cipher() -> AESGCM:
    return _made_from(str(current_app.config["SECRET_KEY"]))


@cache
def _made_from(secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=b"passerelle sealing").derive(secret.encode()))
