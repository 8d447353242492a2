"""Zoho CRM: the labels of its exports, the ids of its analytics copies, and API names.

Sources: help.zoho.com "Exporting data" and the field lists of the standard modules (API names as `Account_Name`); the sample
data of Zoho Analytics (`ACCOUNTID`, `Potential Owner`; a potential has the `LEADID` of the one lead that became it, and no other id).
"""

from __future__ import annotations

from roe.crm.generic import OPEN, lead_unless
from roe.crm.profile import Profile

LOST = ("Junk Lead", "Lost Lead", "Not Qualified", "Converted")
_CREATED = ("Created_Time", "Created Time", "Erstellungszeit", "Heure de création", "Hora de creación")

ZOHO = Profile(
    "zoho",
    headers="labels, API names (`Account_Name`), `ACCOUNTID`",
    also="deals are closed by their stage; junk and lost leads are closed",
    title="Zoho CRM",
    columns={
        "account": {
            "id": ("id", "Record Id", "Account Id", "ACCOUNTID"), "name": ("Account_Name", "Account Name", "Kontoname", "Nom du compte", "Nombre de cuenta"),
            "owner": ("Owner", "Account Owner Id", "Account Owner.id", "Account Owner", "Account Owner Email"), "parent": ("Parent_Account", "Parent Account.id", "Parent Account Id", "Parent Account"),
            "website": ("Website",), "domain": ("Website",), "phone": ("Phone",), "industry": ("Industry",), "employees": ("Employees", "No of Employees"),
            "revenue": ("Annual_Revenue", "Annual Revenue"), "type": ("Account_Type", "Account Type"), "modified_at": ("Modified_Time",), "created": _CREATED, "last_activity": ("Last_Activity_Time", "Last Activity Time"),
            "country": ("Billing_Country", "Billing Country"), "state": ("Billing_State", "Billing State"), "city": ("Billing_City", "Billing City"),
            "postal_code": ("Billing_Code", "Billing Code"), "street": ("Billing_Street", "Billing Street"),
        },
        "lead": {
            "id": ("id", "Record Id", "Lead Id", "LEADID"), "first_name": ("First_Name", "First Name"), "last_name": ("Last_Name", "Last Name"), "company": ("Company",),
            "name": ("Full_Name", "Full Name", "Lead Name"), "email": ("Email",), "phone": ("Phone", "Mobile"), "website": ("Website",), "owner": ("Owner", "Lead Owner Id", "Lead Owner.id", "Lead Owner"),
            "lead_source": ("Lead_Source", "Lead Source"), "status": ("Lead_Status", "Lead Status"), "industry": ("Industry",), "employees": ("No_of_Employees", "No. of Employees"),
            "modified_at": ("Modified_Time",), "created": _CREATED, "converted": ("Converted__s", "Is Converted", "Converted", "CONVERTED"), "country": ("Country",), "state": ("State",), "city": ("City",),
            "postal_code": ("Zip_Code", "Zip Code"), "title": ("Designation", "Title"), "rating": ("Rating",),
        },
        "contact": {
            "id": ("id", "Record Id", "Contact Id", "CONTACTID"), "first_name": ("First_Name", "First Name"), "last_name": ("Last_Name", "Last Name"), "email": ("Email",),
            "phone": ("Phone", "Mobile"), "account": ("Account_Name", "Account Id", "Account Name.id", "ACCOUNTID", "Account Name"), "created": _CREATED, "title": ("Title",),
        },
        "opportunity": {
            "id": ("id", "Record Id", "Deal Id", "Potential Id", "POTENTIALID", "LEADID"), "name": ("Deal_Name", "Deal Name", "Potential Name"), "stage": ("Stage",), "amount": ("Amount",),
            "owner": ("Owner", "Deal Owner Id", "Potential Owner Id", "Deal Owner.id", "Deal Owner", "Potential Owner"), "account": ("Account_Name", "Account Id", "ACCOUNTID", "Account Name.id", "Account Name"),
            "modified_at": ("Modified_Time",), "created": _CREATED, "closed": ("Closing_Date", "Closing Date"), "is_closed": ("Is Closed", "Stage"), "is_won": ("Is Won", "Stage"),
        },
        "activity": {
            "id": ("id", "Record Id", "Task Id", "TASKID", "EVENTID"), "type": ("Activity Type", "Type"), "subject": ("Subject",), "status": ("Status",), "date": ("Due_Date", "Due Date"),
            "account": ("Account Id", "ACCOUNTID", "Related To"), "lead": ("Lead Id", "LEADID"), "contact": ("Contact Id", "CONTACTID", "Contact Name"), "rep": ("Owner", "Task Owner Id", "Task Owner", "Call Owner Id", "Event Owner Id"),
        },
        "rep": {
            "id": ("id", "User Id", "USER_ID", "ZUID", "Record Id"), "name": ("full_name", "Full Name", "Name"), "first_name": ("first_name", "First Name"), "last_name": ("last_name", "Last Name"),
            "email": ("email", "Email"), "role": ("role", "Role"), "active": ("status", "Status"), "timezone": ("time_zone", "Time Zone"),
        },
    },
    signs=r"^(?:ACCOUNTID|LEADID|CONTACTID|POTENTIALID|Record Id|Account_Name|Lead_Status)$|^Potential |^(?:Account|Lead|Contact|Deal) Owner(?: Id|\.id)$",
    files={"opportunity": ("deals", "potentials"), "activity": ("tasks",), "rep": ("users",)},
    objects={"account": "Accounts", "lead": "Leads", "contact": "Contacts", "opportunity": "Deals"},
    open={**OPEN, "lead": lead_unless(LOST)},
    true_words={
        ("opportunity", "is_closed"): frozenset({"closed won", "closed lost", "closed lost to competition", "closed-won", "closed-lost", "closed-lost to competition"}),
        ("opportunity", "is_won"): frozenset({"closed won", "closed-won"}), ("rep", "active"): frozenset({"active"}),
    },
)  # fmt: skip
