"""Salesforce: outbound messages (SOAP), and JSON that a flow or Apex sends.

An outbound message is not signed. It is taken only with the secret in the address, from the organisation that is declared,
and it is answered with an `Ack` once it is stored; Salesforce sends it again for a day until it has one. XML is read with
defusedxml, which refuses entities and document types.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.dynamic import Json
from roe.serve.bodies import parsed
from roe.serve.hooks.model import Message, forged, text_of
from roe.serve.problems import unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
MOST_NOTIFICATIONS = 100
OBJECTS = {"Lead": "lead", "Account": "account", "Contact": "contact", "Opportunity": "opportunity", "Task": "activity", "Event": "activity", "User": "rep"}  # fmt: skip
STAMPS = ("SystemModstamp", "LastModifiedDate")
HELP = "send the message as Salesforce does"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def acknowledged() -> str:
    """The answer to an outbound message that is stored."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
        '<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
        "</notificationsResponse></soapenv:Body></soapenv:Envelope>"
    )


def outbound(body: bytes, organization: str) -> list[Message]:
    """The records of an outbound message, if it comes from the organisation."""
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise unreadable("the body is not XML that can be read safely", HELP) from None
    found = root.find(f"{SOAP}Body/{OUTBOUND}notifications")
    if found is None:
        raise unreadable("the body is not an outbound message", HELP, 422)
    if fold((found.findtext(f"{OUTBOUND}OrganizationId") or "").strip()) != fold(organization):
        raise forged("the message comes from another organisation", "set `organization` to the id of yours")
    notes = found.findall(f"{OUTBOUND}Notification")
    if len(notes) > MOST_NOTIFICATIONS:
        raise unreadable(f"the message has more than {MOST_NOTIFICATIONS} notifications", HELP, 422)
    return [_notification(note) for note in notes]


def _notification(note: Element) -> Message:
    key, record = (note.findtext(f"{OUTBOUND}Id") or "").strip(), note.find(f"{OUTBOUND}sObject")
    if record is None or not key:
        raise unreadable("a notification has no id or no record", HELP, 422)
    values = {
        field.tag.partition("}")[2]: None if field.get(_NIL) == "true" else (field.text or "") for field in record
    }  # their namespace is that of the WSDL
    return _message(key, (record.get(_TYPE) or "").partition(":")[2], values)


def records(body: bytes) -> list[Message]:
    """The records that a flow or Apex sends: one record or a list, as Salesforce's REST API writes them, each with `attributes.type`."""
    given = parsed(body, "send one record or a list of records")
    rows = given if isinstance(given, list) else [given]
    if len(rows) > MOST_NOTIFICATIONS or not all(isinstance(row, dict) for row in rows):
        raise unreadable(f"the body must be a record, or a list of at most {MOST_NOTIFICATIONS}", "send fewer records at a time", 422)
    return list(_json(rows))


def _json(rows: Iterable[Json]) -> Iterable[Message]:
    for row in rows:
        about = row.get("attributes")
        kind = about.get("type") if isinstance(about, dict) else None
        values = {k: v for k, v in row.items() if k != "attributes" and not isinstance(v, (dict, list))}
        yield _message("", str(kind or ""), values)


def _message(key: str, kind: str, values: Json) -> Message:
    entity = OBJECTS.get(kind)
    if entity is None:
        raise unreadable(f"`{kind}` is not an object that the service mirrors", f"send {', '.join(OBJECTS)}", 422)
    record = fold(text_of(values.get("Id"), "Id"))
    version = _stamp(values)
    deleted = str(values.get("IsDeleted")).lower() == "true"
    return Message(key or f"{record}:{version}", "delete" if deleted else "patch", entity, record, version, values)


def _stamp(values: Json) -> str:
    """When the record was changed, in milliseconds since 1970; empty if the message does not say."""
    stamp = next((values[name] for name in STAMPS if isinstance(values.get(name), str)), "")
    if not stamp:
        return ""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        raise unreadable(f"`{stamp}` is not a moment", "send SystemModstamp as Salesforce writes it", 422) from None
    if at.tzinfo is None:
        raise unreadable(f"`{stamp}` has no time zone", "send SystemModstamp as Salesforce writes it", 422)
    return f"{int(at.timestamp() * 1000):015d}"
