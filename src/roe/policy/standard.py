"""The entities and fields that every policy has, and how profiles spell them.

A field is `type`, or an entity that it refers to, or `entity[] via field` for the records that refer back.
"""

from __future__ import annotations

import re

STANDARD: dict[str, dict[str, str]] = {
    "account": {
        "id": "string", "name": "string", "domain": "string domain", "other_domains": "string", "website": "string", "phone": "string",
        "country": "string country", "state": "string", "city": "string", "postal_code": "string", "street": "string",
        "industry": "string", "segment": "string", "type": "string", "employees": "number", "revenue": "number",
        "parent": "account", "created": "date", "last_activity": "date", "owner": "owners", "owner_since": "date", "former_owner": "rep",
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
        "rating": "string", "created": "datetime", "created_by": "rep", "workspace_users": "number",
        "converted": "boolean", "account": "account", "owner": "owners", "owner_since": "date",
        "activities": "activity[] via lead", "signals": "signal[] via lead",
    },
    "contact": {
        "id": "string", "name": "string", "first_name": "string", "last_name": "string", "title": "string",
        "email": "string lower", "phone": "string", "account": "account", "created": "date",
        "activities": "activity[] via contact",
    },
    "opportunity": {
        "id": "string", "name": "string", "account": "account", "stage": "string", "amount": "number",
        "is_closed": "boolean", "is_won": "boolean", "created": "date", "closed": "date", "owner": "owners",
        "owner_since": "date", "rep": "rep", "product": "string",
    },
    "activity": {
        "id": "string", "type": "string", "role": "string", "subject": "string", "status": "string", "date": "date",
        "at": "datetime", "account": "account", "lead": "lead", "contact": "contact", "rep": "rep",
    },
    "rep": {
        "id": "string", "name": "string", "first_name": "string", "last_name": "string", "email": "string lower",
        "team": "string", "role": "string",
        "region": "string", "segment": "string", "manager": "rep", "active": "boolean", "ramp": "number",
        "capacity": "number", "starts": "date", "ends": "date", "timezone": "string", "hours": "string hours", "calendar": "string",
        "leaves": "leave[] via rep", "leave": "leave", "claims": "claim[] via rep",
        "opportunities": "opportunity[] via rep", "activities": "activity[] via rep",
    },
    "claim": {
        "id": "string", "name": "string", "account": "account", "rep": "rep", "at": "datetime", "released": "datetime",
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

_SALESFORCE = {
    "account": {
        "id": "Id", "name": "Name", "owner": "OwnerId", "parent": "ParentId", "website": "Website", "phone": "Phone",
        "industry": "Industry", "employees": "NumberOfEmployees", "revenue": "AnnualRevenue", "street": "BillingStreet",
        "city": "BillingCity", "state": "BillingState", "postal_code": "BillingPostalCode", "country": "BillingCountry",
        "type": "Type", "created": "CreatedDate", "last_activity": "LastActivityDate", "domain": "Website",
    },
    "lead": {
        "id": "Id", "first_name": "FirstName", "last_name": "LastName", "company": "Company", "email": "Email",
        "phone": "Phone", "website": "Website", "lead_source": "LeadSource", "status": "Status", "rating": "Rating",
        "industry": "Industry", "employees": "NumberOfEmployees", "country": "Country", "state": "State",
        "postal_code": "PostalCode", "street": "Street", "owner": "OwnerId", "created": "CreatedDate", "created_by": "CreatedById",
        "converted": "IsConverted", "account": "ConvertedAccountId", "title": "Title", "city": "City",
    },
    "contact": {
        "id": "Id", "first_name": "FirstName", "last_name": "LastName", "email": "Email", "phone": "Phone",
        "account": "AccountId", "title": "Title", "created": "CreatedDate",
    },
    "opportunity": {
        "id": "Id", "name": "Name", "account": "AccountId", "owner": "OwnerId", "stage": "StageName",
        "amount": "Amount", "is_closed": "IsClosed", "is_won": "IsWon", "closed": "CloseDate", "created": "CreatedDate",
    },
    "activity": {
        "id": "Id", "lead": "WhoId", "account": "WhatId", "rep": "OwnerId", "date": "ActivityDate",
        "status": "Status", "type": "TaskSubtype", "subject": "Subject",
    },
    "rep": {
        "id": "Id", "name": "Name", "email": "Email", "active": "IsActive", "manager": "ManagerId", "role": "UserRoleId",
        "timezone": "TimeZoneSidKey",
    },
    "association": {"id": "Id", "account": "ObjectId", "territory": "Territory2Id", "cause": "AssociationCause"},
}  # fmt: skip
_HUBSPOT = {
    "account": {
        "id": "Record ID", "name": "Company name", "domain": "Company Domain Name", "other_domains": "Additional Domains", "owner": "Company owner",
        "industry": "Industry", "employees": "Number of Employees", "revenue": "Annual Revenue",
        "country": "Country/Region", "state": "State/Region", "postal_code": "Postal Code", "city": "City",
        "last_activity": "Last Activity Date", "created": "Create Date", "phone": "Phone Number",
    },
    "lead": {
        "id": "Record ID", "first_name": "First Name", "last_name": "Last Name", "email": "Email",
        "company": "Company name", "owner": "Contact owner", "status": "Lead Status", "created": "Create Date",
        "account": "Associated Company IDs", "phone": "Phone Number", "country": "Country/Region",
        "name": "Full Name", "title": "Job Title",
    },
    "rep": {"id": "User ID", "name": "Name", "email": "Email"},
    "opportunity": {
        "id": "Record ID", "name": "Deal Name", "stage": "Deal Stage", "owner": "Deal owner", "amount": "Amount",
        "closed": "Close Date", "created": "Create Date", "account": "Associated Company IDs",
    },
}  # fmt: skip

# what each CRM calls the object that an entity is, for files that are loaded back
OBJECTS: dict[str, dict[str, str]] = {
    "generic": {},
    "salesforce": {"account": "Account", "lead": "Lead", "contact": "Contact", "opportunity": "Opportunity"},
    "hubspot": {"account": "companies", "lead": "contacts", "contact": "contacts", "opportunity": "deals"},
}

PROFILES: dict[str, dict[str, dict[str, str]]] = {"generic": {}, "salesforce": _SALESFORCE, "hubspot": _HUBSPOT}

_SHARE = re.compile(r"\s*(\S.*?)\s+(\d{1,3}(?:\.\d{1,4})?)\s*%?\s*")


def split(text: str) -> tuple[tuple[str, float], ...] | None:
    """`ann 60; ben 40` as reps and percents; empty for an empty text, None for anything else and where they are not 100."""
    found = [_SHARE.fullmatch(part) for part in text.split(";")] if text.strip() else []
    shares = tuple((m[1], int(m[2]) if "." not in m[2] else float(m[2])) for m in found if m)
    return shares if len(shares) == len(found) and (not found or sum(percent for _, percent in shares) == 100) else None
