"""The CRMs that roe knows, one profile a file."""

from __future__ import annotations

from roe.crm.dynamics import DYNAMICS
from roe.crm.generic import GENERIC, WORDS
from roe.crm.hubspot import HUBSPOT
from roe.crm.pipedrive import PIPEDRIVE
from roe.crm.profile import Profile
from roe.crm.salesforce import SALESFORCE
from roe.crm.zoho import ZOHO

PROFILES: dict[str, Profile] = {p.name: p for p in (GENERIC, SALESFORCE, HUBSPOT, ZOHO, PIPEDRIVE, DYNAMICS)}


def spellings(entity: str, name: str) -> tuple[str, ...]:
    """The headers under which any CRM's export, or any spreadsheet, has a field."""
    known = [WORDS.get(entity, {}).get(name, ()), *(p.columns.get(entity, {}).get(name, ()) for p in PROFILES.values())]
    return tuple(dict.fromkeys(header for headers in known for header in headers))
