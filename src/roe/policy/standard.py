"""The entities and fields that every policy has; `roe.crm` says how each CRM spells them.

A field is `type`, or an entity that it refers to, or `entity[] via field` for the records that refer back.
"""

from __future__ import annotations

import re

STANDARD: dict[str, dict[str, str]] = {
    "account": {
        "id": "string", "name": "string", "domain": "string domain", "other_domains": "string", "website": "string", "phone": "string",
        "country": "string country", "state": "string", "city": "string", "postal_code": "string", "street": "string",
        "industry": "string", "segment": "string", "type": "string", "employees": "number", "revenue": "number",
        "parent": "account", "created": "date", "modified_at": "datetime", "modified_by": "string", "deleted": "boolean", "merged_into": "string", "last_activity": "date", "owner": "owners", "owner_queue": "string queue", "owner_since": "date", "former_owner": "rep",
        "activities": "activity[] via account", "opportunities": "opportunity[] via account", "open_opportunities": "opportunity[] via account",
        "ultimate_parent": "account", "contacts": "contact[] via account", "leads": "lead[] via account", "children": "account[] via parent",
        "ancestors": "account[] via parent",
        "claims": "claim[] via account", "handbacks": "handback[] via account", "signals": "signal[] via account",
    },
    "lead": {
        "id": "string", "name": "string", "first_name": "string", "last_name": "string", "title": "string",
        "company": "string", "email": "string lower", "phone": "string", "website": "string",
        "country": "string country", "state": "string", "city": "string", "postal_code": "string", "street": "string", "industry": "string",
        "employees": "number", "form": "string", "campaign": "string", "lead_source": "string", "status": "string",
        "rating": "string", "created": "datetime", "modified_at": "datetime", "modified_by": "string", "deleted": "boolean", "merged_into": "string", "created_by": "rep", "workspace_users": "number",
        "converted": "boolean", "account": "account", "owner": "owners", "owner_queue": "string queue", "owner_since": "date", "former_owner": "rep",
        "activities": "activity[] via lead", "claims": "claim[] via lead", "signals": "signal[] via lead",
    },
    "contact": {
        "id": "string", "name": "string", "first_name": "string", "last_name": "string", "title": "string",
        "email": "string lower", "phone": "string", "account": "account", "created": "date",
        "activities": "activity[] via contact",
    },
    "opportunity": {
        "id": "string", "name": "string", "account": "account", "stage": "string", "amount": "number",
        "is_closed": "boolean", "is_won": "boolean", "created": "date", "modified_at": "datetime", "modified_by": "string", "deleted": "boolean", "closed": "date", "owner": "owners", "owner_queue": "string queue",
        "owner_since": "date", "former_owner": "rep", "rep": "rep", "product": "string", "claims": "claim[] via opportunity",
    },
    "activity": {
        "id": "string", "type": "string", "role": "string", "subject": "string", "status": "string", "date": "date",
        "at": "datetime", "account": "account", "lead": "lead", "contact": "contact", "rep": "rep",
    },
    "rep": {
        "id": "string", "name": "string", "first_name": "string", "last_name": "string", "email": "string lower",
        "team": "string", "role": "string",
        "region": "string", "segment": "string", "manager": "rep", "active": "boolean", "ramp": "number",
        "capacity": "number", "starts": "date", "ends": "date", "timezone": "string timezone", "hours": "string hours", "calendar": "string calendar",
        "leaves": "leave[] via rep", "leave": "leave", "able": "boolean", "may_hold": "boolean", "local_day": "date", "claims": "claim[] via rep",
        "opportunities": "opportunity[] via rep", "activities": "activity[] via rep",
    },
    "claim": {
        "id": "string", "name": "string", "account": "account", "lead": "lead", "opportunity": "opportunity", "rep": "rep", "at": "datetime",
        "released": "datetime",
    },
    "handback": {
        "id": "string", "name": "string", "account": "account", "rep": "rep", "date": "date", "reason": "string",
    },
    "signal": {
        "id": "string", "name": "string", "account": "account", "lead": "lead", "contact": "contact", "kind": "string", "date": "date",
        "weight": "number", "source": "string",
    },
    "dispute": {
        "id": "string", "name": "string", "credit": "string", "record": "string", "by": "rep", "opened": "date", "reason": "string",
        "ruling": "string", "ruled_by": "string",
    },
    "association": {
        "id": "string", "name": "string", "account": "account", "territory": "string", "cause": "string",
    },
    "leave": {
        "id": "string", "name": "string", "rep": "rep", "starts": "date", "until": "date", "cover": "rep", "kind": "string",
    },
}  # fmt: skip

# entity -> the names that its file may have
FILES: dict[str, tuple[str, ...]] = {
    "account": ("accounts", "account"),
    "lead": ("leads", "lead"),
    "contact": ("contacts", "contact"),
    "opportunity": ("opportunities", "opportunity", "deals", "potentials"),
    "activity": ("activities", "activity", "tasks", "task"),
    "rep": ("reps", "rep", "users", "user"),
    "claim": ("claims", "claim"),
    "leave": ("leaves", "leave", "absences"),
    "handback": ("handbacks", "handback"),
    "signal": ("signals", "signal"),
    "dispute": ("disputes", "dispute"),
    "association": ("associations", "association", "objectterritory2association"),
}

_SHARE = re.compile(r"\s*(\S.*?)\s+(\d{1,3}(?:\.\d{1,4})?)\s*%?\s*")


def split(text: str) -> tuple[tuple[str, float], ...] | None:
    """`ann 60; ben 40` as reps and percents; empty for an empty text, None for anything else and where they are not 100."""
    matches = [_SHARE.fullmatch(share) for share in text.split(";")] if text.strip() else []
    shares = tuple((m[1], int(m[2]) if "." not in m[2] else float(m[2])) for m in matches if m)
    return shares if len(shares) == len(matches) and (not matches or sum(percent for _, percent in shares) == 100) else None
