"""Which message of ours an e-mail is about, told by a mark that only who received the message can know.

A mark is the row's number and a hundred bits made from it and the key. It stands in the Message-ID, which answers and reports of
non-delivery quote, and in the address that they are sent to where a mailbox is read. What a header says without such a mark is believed by nobody.
"""

import base64
import hashlib
import hmac
import re

from flask import current_app

_SIGNED = r"([0-9]{1,18})[a-z_.]*[-.]([a-z2-7]{20})"
_IN_ADDRESS = re.compile(rf"\+m{_SIGNED}@", re.IGNORECASE | re.ASCII)
_IN_MESSAGE_ID = re.compile(rf"<{_SIGNED}@")


def _signature(number: int) -> str:
    secret = str(current_app.config["SECRET_KEY"]).encode()
    made = hmac.new(secret, f"mail:{number}".encode(), hashlib.sha256).digest()
    return base64.b32encode(made)[:20].decode().lower()  # servers may change the capitals of an address


def message_id(number: int, kind: str, host: str) -> str:
    """The Message-ID of a row: always the same, so that copies can be told."""
    return f"<{number}.{kind}.{_signature(number)}@{host}>"


def address(number: int, mailbox: str) -> str:
    """Where answers to a message, and reports about it, are sent: the mailbox's address with the message's mark."""
    user, _, domain = mailbox.rpartition("@")
    return f"{user}+m{number}-{_signature(number)}@{domain}"


def marked(headers: str) -> int | None:
    """The number of the message whose mark stands in headers (addresses first, then Message-IDs); None when none does, or it is forged."""
    for number, signature in _IN_ADDRESS.findall(headers) + _IN_MESSAGE_ID.findall(headers):
        if hmac.compare_digest(signature.lower(), _signature(int(number))):
            return int(number)
    return None
