"""Microsoft Dynamics 365 Sales: `Export to Excel` heads columns with labels and hides the id in the first one; the API has logical names.

Sources: learn.microsoft.com, table reference (account, lead, opportunity, systemuser: logical names, display names, the states
of a lead: Open, Qualified, Disqualified, and of an opportunity: Open, Won, Lost) and "Export data to Excel" (`(Do Not Modify) Account`).
"""

from __future__ import annotations

from roe.crm.generic import OPEN, lead_unless
from roe.crm.profile import Profile

_OWNER = ("ownerid", "_ownerid_value", "Owner", "Besitzer", "Propriétaire", "Propietario", "Proprietário", "所有者")
_CREATED = ("createdon", "Created On", "Erstellt am", "Créé le", "Fecha de creación", "Criado em", "作成日")

DYNAMICS = Profile(
    "dynamics",
    headers="labels, `(Do Not Modify) Account`, logical names (`ownerid`)",
    also="leads are closed when qualified or disqualified",
    title="Dynamics 365",
    columns={
        "account": {
            "id": ("accountid", "(Do Not Modify) Account", "(Nicht ändern) Firma", "(Nicht ändern) Konto", "(Ne pas modifier) Compte", "(No modificar) Cuenta", "Account"),
            "name": ("name", "Account Name", "Firmenname", "Kontoname", "Nom du compte", "Nombre de cuenta", "Nome da Conta"), "owner": _OWNER,
            "parent": ("parentaccountid", "_parentaccountid_value", "Parent Account", "Übergeordnete Firma"), "website": ("websiteurl", "Website", "Webseite"), "domain": ("websiteurl", "Website", "Webseite"),
            "phone": ("telephone1", "Main Phone", "Haupttelefon"), "industry": ("industrycode", "Industry", "Branche", "Secteur d'activité", "Sector"),
            "employees": ("numberofemployees", "No. of Employees", "Number of Employees", "Anzahl der Mitarbeiter"), "revenue": ("revenue", "Annual Revenue", "Jahresumsatz"),
            "country": ("address1_country", "Address 1: Country/Region", "Adresse 1: Land/Region", "Adresse 1 : Pays/Région"), "state": ("address1_stateorprovince", "Address 1: State/Province"),
            "city": ("address1_city", "Address 1: City", "Adresse 1: Ort"), "postal_code": ("address1_postalcode", "Address 1: ZIP/Postal Code", "Adresse 1: Postleitzahl"),
            "street": ("address1_line1", "Address 1: Street 1"), "type": ("customertypecode", "Relationship Type"), "modified_at": ("modifiedon",), "modified_by": ("modifiedby", "_modifiedby_value"), "created": _CREATED,
        },
        "lead": {
            "id": ("leadid", "(Do Not Modify) Lead", "(Nicht ändern) Lead", "Lead"), "first_name": ("firstname", "First Name", "Vorname"), "last_name": ("lastname", "Last Name", "Nachname"),
            "name": ("fullname", "Name", "Full Name"), "company": ("companyname", "Company Name", "Firmenname"), "email": ("emailaddress1", "Email", "E-Mail"), "phone": ("telephone1", "Business Phone"),
            "owner": _OWNER, "status": ("statecode", "Status"), "lead_source": ("leadsourcecode", "Lead Source", "Leadquelle"), "rating": ("leadqualitycode", "Rating"),
            "country": ("address1_country", "Country/Region", "Address 1: Country/Region"), "state": ("address1_stateorprovince", "State/Province"), "city": ("address1_city", "City"),
            "postal_code": ("address1_postalcode", "ZIP/Postal Code"), "industry": ("industrycode", "Industry"), "employees": ("numberofemployees", "No. of Employees"),
            "modified_at": ("modifiedon",), "modified_by": ("modifiedby", "_modifiedby_value"), "created": _CREATED, "account": ("parentaccountid", "_parentaccountid_value", "Parent Account for lead"), "title": ("jobtitle", "Job Title"), "website": ("websiteurl", "Website"),
        },
        "contact": {
            "id": ("contactid", "(Do Not Modify) Contact", "Contact"), "first_name": ("firstname", "First Name"), "last_name": ("lastname", "Last Name"), "name": ("fullname", "Full Name"),
            "email": ("emailaddress1", "Email"), "account": ("parentcustomerid", "_parentcustomerid_value", "Company Name", "Account"), "created": _CREATED, "title": ("jobtitle", "Job Title"),
        },
        "opportunity": {
            "id": ("opportunityid", "(Do Not Modify) Opportunity", "Opportunity"), "name": ("name", "Topic", "Thema"), "account": ("parentaccountid", "_parentaccountid_value", "customerid", "Account", "Potential Customer"),
            "owner": _OWNER, "stage": ("stepname", "salesstagecode", "Pipeline Phase", "Sales Stage"), "amount": ("estimatedvalue", "Est. Revenue", "Est. revenue"), "modified_at": ("modifiedon",), "modified_by": ("modifiedby", "_modifiedby_value"), "created": _CREATED,
            "closed": ("actualclosedate", "Actual Close Date", "estimatedclosedate", "Est. Close Date"), "is_closed": ("statecode", "Status"), "is_won": ("statecode", "Status"),
        },
        "activity": {
            "id": ("activityid", "(Do Not Modify) Activity"), "type": ("activitytypecode", "Activity Type"), "subject": ("subject", "Subject"), "date": ("scheduledend", "Due Date", "actualend"),
            "status": ("statecode", "Activity Status"), "account": ("regardingobjectid", "_regardingobjectid_value", "Regarding"), "rep": _OWNER,
        },
        "rep": {
            "id": ("systemuserid", "(Do Not Modify) User", "User"), "name": ("fullname", "Full Name", "Vollständiger Name"), "email": ("internalemailaddress", "Primary Email", "Primäre E-Mail-Adresse"),
            "manager": ("parentsystemuserid", "Manager"), "active": ("Status",), "first_name": ("firstname", "First Name"), "last_name": ("lastname", "Last Name"),
        },
    },
    signs=r"^\((?:Do Not Modify|Nicht ändern|Ne pas modifier|No modificar)\)|^(?:accountid|leadid|_?ownerid(?:_value)?|emailaddress1|statecode|createdon|address1_\w+)$|^Address 1: ",
    files={"account": ("accounts", "active accounts", "my active accounts", "aktive firmen"), "lead": ("leads", "open leads", "my open leads"), "rep": ("users", "systemusers", "enabled users")},
    objects={"account": "account", "lead": "lead", "contact": "contact", "opportunity": "opportunity"},
    open={**OPEN, "lead": lead_unless(("Qualified", "Disqualified", "Qualifiziert", "Disqualifiziert", "1", "2"))},
    true_words={
        ("opportunity", "is_closed"): frozenset({"won", "lost", "gewonnen", "verloren", "1", "2"}), ("opportunity", "is_won"): frozenset({"won", "gewonnen", "1"}),
        ("rep", "active"): frozenset({"enabled", "active", "aktiviert"}),
    },
)  # fmt: skip
