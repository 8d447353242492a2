"""Web forms: JSON that a form's server signs with HMAC-SHA256, in hexadecimal or base64, bare or as `sha256=…`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from roe.serve.bodies import checked, parsed
from roe.serve.hooks.model import Message, forged


def verify(secrets: Sequence[str], body: bytes, given: str) -> None:
    """Refuses a body that none of the secrets has signed. Two secrets are valid at once while one takes the other's place."""
    text = given.strip().removeprefix("sha256=")
    candidates = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in secrets]
    signed = _bytes(text)
    if signed is None or not any(hmac.compare_digest(made, signed) for made in candidates):
        raise forged("the signature does not fit the body", "sign the bytes of the body with HMAC-SHA256 and the form's secret")


def _bytes(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None


def message(body: bytes, entity: str) -> Message:
    """The record that somebody has filled in, to be routed. Without an id the content is its name: a form that is sent twice is one record."""
    values = checked(parsed(body))
    key = hashlib.sha256(body).hexdigest()
    record = values.get("id")
    return Message(f"{entity}:{key}", "route", entity, str(record) if isinstance(record, (str, int)) and record != "" else "", "", values)
