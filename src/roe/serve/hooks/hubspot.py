"""HubSpot's webhooks: signature version 3, batches of up to a hundred events, in any order, and more than once.

The signature is HMAC-SHA256, with the app's client secret, of method + address + body + timestamp, in base64, under
`X-HubSpot-Signature-v3`; a timestamp more than five minutes away is refused (HubSpot's "Validating requests", v3). Of the
address, HubSpot signs some escaped characters as themselves.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from roe.dynamic import Saved
from roe.serve.bodies import parsed
from roe.serve.hooks.model import Message, forged, same, text_of
from roe.serve.problems import unreadable

TOLERANCE = 300  # seconds
MOST_EVENTS = 100
# the characters that HubSpot decodes before it signs
_DECODED = {"%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";"}  # fmt: skip
_ESCAPES = re.compile("|".join(_DECODED), re.I)
OBJECTS = {"contact": "lead", "company": "account", "deal": "opportunity"}
_TYPE_IDS = {"0-1": "contact", "0-2": "company", "0-3": "deal"}


def signature(secret: str, method: str, address: str, body: bytes, timestamp: str) -> str:
    """What HubSpot puts under `X-HubSpot-Signature-v3`."""
    signed = method.upper() + _ESCAPES.sub(lambda m: _DECODED[m[0].upper()], address)
    made = hmac.new(secret.encode(), signed.encode() + body + timestamp.encode(), hashlib.sha256).digest()
    return base64.b64encode(made).decode()


def verify(secret: str, method: str, address: str, body: bytes, headers: Mapping[str, str], now: float) -> None:
    """Refuses what HubSpot did not sign, and what it signed more than five minutes ago. `now` is in seconds since 1970."""
    timestamp, given = headers.get("x-hubspot-request-timestamp", ""), headers.get("x-hubspot-signature-v3", "")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 15 or not given:
        raise forged("the request has no signature of HubSpot, version 3", "subscribe with an app, and set its client secret")
    if abs(now - int(timestamp) / 1000) > TOLERANCE:
        raise forged("the signature is more than five minutes old", "check the clock of this machine")
    if not same(signature(secret, method, address, body, timestamp), given):
        raise forged("the signature does not fit the request", "set the client secret of the app, and the public address as HubSpot has it")


def messages(body: bytes, objects: Mapping[str, str] | None = None) -> list[Message]:
    """The events of a batch. `objects` maps HubSpot's objects to entities; the default takes contacts for leads.

    A creation has no values: the record is known by its id, and properties follow as events of their own.
    """
    events = parsed(body, "send the webhook as HubSpot does")
    if not isinstance(events, list) or len(events) > MOST_EVENTS or not all(isinstance(e, dict) for e in events):
        raise unreadable(f"the body must be a list of at most {MOST_EVENTS} events", "send the webhook as HubSpot does", 422)
    return list(_read(events, objects or OBJECTS))


def _read(events: Iterable[Saved], objects: Mapping[str, str]) -> Iterable[Message]:
    for event in events:
        kind, _, what = str(event.get("subscriptionType") or event.get("eventType") or "").partition(".")
        if kind == "object":  # the newer, generic subscriptions name the type apart
            kind = _TYPE_IDS.get(str(event.get("objectTypeId")), "")
        entity = objects.get(kind)
        if entity is None:
            continue  # an object that nobody asked about
        record, occurred = text_of(event.get("objectId"), "objectId"), _occurred(event)
        # HubSpot's eventId is not promised to be unique: with the subscription, object and moment it is
        key = ":".join(str(event.get(k, "")) for k in ("portalId", "subscriptionId", "eventId", "objectId", "occurredAt", "propertyName"))
        if what in ("deletion", "privacyDeletion"):
            yield Message(key, "delete", entity, record, occurred)
        elif what == "propertyChange":
            yield Message(
                key, "patch", entity, record, occurred, {text_of(event.get("propertyName"), "propertyName"): event.get("propertyValue")}
            )
        elif what in ("creation", "restore"):
            yield Message(key, "patch", entity, record, occurred)


def _occurred(event: Saved) -> str:
    """When it happened, in milliseconds since 1970, as a version: later ones sort later."""
    at = event.get("occurredAt")
    if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < 10**15:
        raise unreadable("`occurredAt` must be milliseconds since 1970", "send the webhook as HubSpot does", 422)
    return f"{at:015d}"
