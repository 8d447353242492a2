"""Pipedrive: exports head a column `Organization - Name` or plain `Name`; deals and leads refer to organizations by name.

Sources: support.pipedrive.com "Exporting data" and "Importing: mandatory fields" (headers `Deal - Title`, `Person - Name`,
`Organization - Name`); developers.pipedrive.com (API names, `status` of a deal: open, won, lost).
"""

from __future__ import annotations

from roe.crm.generic import OPEN, lead_unless
from roe.crm.profile import Profile


def _of(what: str, *names: str) -> tuple[str, ...]:
    """A header as lists and exports have it: with the object in front, and without."""
    return tuple(x for name in names for x in (f"{what} - {name}", name))


PIPEDRIVE = Profile(
    "pipedrive",
    headers="`Organization - Name`, plain `Name`, API names",
    also="deals are closed when won, lost or deleted; archived leads are closed",
    columns={
        "account": {
            "id": (*_of("Organization", "ID"), "Organization - Pipedrive System ID", "org_id", "Organisation - ID", "Organización - ID"), "name": (*_of("Organization", "Name"), "Organisation - Name", "Organización - Nombre", "Organização - Nome"),
            "owner": (*_of("Organization", "Owner"), "owner_name", "owner_id", "Organisation - Besitzer", "Organización - Propietario", "Organização - Proprietário"),
            "country": (*_of("Organization", "Country of Address", "Country"), "address_country"), "state": (*_of("Organization", "State/county of Address", "State"), "address_admin_area_level_1"),
            "city": _of("Organization", "City/town/village/locality of Address", "City"), "postal_code": _of("Organization", "ZIP/Postal code of Address"),
            "street": _of("Organization", "Address"), "website": _of("Organization", "Website"), "domain": _of("Organization", "Website", "Domain"), "industry": _of("Organization", "Industry"),
            "employees": _of("Organization", "Number of employees", "Employee count"), "revenue": _of("Organization", "Annual revenue"),
            "modified_at": ("update_time",), "created": (*_of("Organization", "Organization created", "Created"), "add_time"), "last_activity": (*_of("Organization", "Last activity date"), "last_activity_date"),
        },
        "lead": {
            "id": (*_of("Lead", "ID"), "Person - ID", "Person - Pipedrive System ID"), "name": ("Person - Name", *_of("Lead", "Contact person"), "Name"), "company": (*_of("Lead", "Organization"), "Person - Organization", "Organization - Name"),
            "account": (*_of("Lead", "Organization ID"), "Person - Organization ID"), "email": ("Person - Email", "Person - Email - Work", "Person - Email (Work)", "Email", "Email - Work"),
            "phone": ("Person - Phone", "Person - Phone - Work", "Phone", "Phone - Work"), "owner": (*_of("Lead", "Owner"), "Person - Owner"), "lead_source": _of("Lead", "Source", "Source name", "Lead source"),
            "status": _of("Lead", "Status", "Lead status"), "modified_at": ("update_time",), "created": (*_of("Lead", "Lead created", "Created"), "Person - Person created", "add_time"), "title": _of("Lead", "Title"),
        },
        "contact": {
            "id": (*_of("Person", "ID"), "Person - Pipedrive System ID"), "name": _of("Person", "Name"), "first_name": _of("Person", "First name"), "last_name": _of("Person", "Last name"),
            "email": ("Person - Email", "Person - Email - Work", "Person - Email (Work)", "Email", "Email - Work"), "account": _of("Person", "Organization ID", "Organization"), "created": _of("Person", "Person created"),
        },
        "opportunity": {
            "id": (*_of("Deal", "ID"), "Deal - Pipedrive System ID"), "name": _of("Deal", "Title"), "account": (*_of("Deal", "Organization ID", "Organization"), "Organization - Name", "org_name", "org_id"),
            "owner": (*_of("Deal", "Owner"), "owner_name", "user_id"), "stage": _of("Deal", "Stage"), "amount": _of("Deal", "Value"), "modified_at": ("update_time",), "created": (*_of("Deal", "Deal created"), "add_time"),
            "closed": (*_of("Deal", "Deal closed on", "Won time", "Expected close date"), "close_time"), "is_closed": _of("Deal", "Status"), "is_won": _of("Deal", "Status"), "product": _of("Deal", "Product name"),
        },
        "activity": {
            "id": _of("Activity", "ID"), "type": _of("Activity", "Type"), "subject": _of("Activity", "Subject"), "date": (*_of("Activity", "Due date"), "due_date"), "status": _of("Activity", "Done"),
            "account": _of("Activity", "Organization ID", "Organization"), "rep": _of("Activity", "Assigned to user", "Owner"),
        },
        "rep": {"id": ("User - ID", "ID", "id"), "name": ("User - Name", "Name", "name"), "email": ("User - Email", "Email", "email"), "active": ("Active", "active_flag", "Status")},
    },
    signs=r"^(?:Organization|Organisation|Organización|Organização|Person|Deal|Lead|Activity|User) - |^Pipedrive|\bPipedrive System ID$",
    files={"account": ("organizations", "organisations", "organizaciones", "organizações"), "lead": ("leads", "persons", "people"), "contact": ("persons", "people"), "opportunity": ("deals",), "activity": ("activities",), "rep": ("users",)},
    objects={"account": "organizations", "lead": "leads", "contact": "persons", "opportunity": "deals"},
    owner="name",
    open={**OPEN, "lead": lead_unless(("Archived", "Converted", "Lost", "Disqualified", "Unqualified"))},
    true_words={("opportunity", "is_closed"): frozenset({"won", "lost", "deleted"}), ("opportunity", "is_won"): frozenset({"won"}), ("rep", "active"): frozenset({"active"})},
)  # fmt: skip
