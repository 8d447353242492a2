"""The CRMs that roe knows, one profile a file."""

from __future__ import annotations

from roe.crm.dynamics import DYNAMICS
from roe.crm.generic import GENERIC
from roe.crm.hubspot import HUBSPOT
from roe.crm.pipedrive import PIPEDRIVE
from roe.crm.profile import Profile
from roe.crm.salesforce import SALESFORCE
from roe.crm.zoho import ZOHO

PROFILES: dict[str, Profile] = {p.name: p for p in (GENERIC, SALESFORCE, HUBSPOT, ZOHO, PIPEDRIVE, DYNAMICS)}
