"""Salesforce: API names as Data Loader exports them, and the labels of reports.

Sources: the object reference (developer.salesforce.com/docs/atlas.en-us.object_reference.meta, Account, Lead, Task and User
with their default picklists) and the standard report types. Key prefixes: Salesforce Knowledge "Standard Field Record ID Prefix Decoder".
"""

from __future__ import annotations

from roe.crm.generic import OPEN, lead_unless
from roe.crm.profile import Profile

# of the default picklist of Lead.Status, and what most organizations add to it
LOST = ("Closed - Converted", "Closed - Not Converted", "Closed - Disqualified", "Converted", "Unqualified", "Disqualified")
TASK_ACCOUNT = ("AccountId", "Company / Account ID", "Account ID")  # a task's account is rolled up from its deal or contact

SALESFORCE = Profile(
    "salesforce",
    headers="API names (`BillingCountry`), report labels (`Billing Country`, `Account Owner`), the main labels in German, French, Spanish, Portuguese and Japanese",
    also="ids of 15 and 18 characters; owners `00G…` are queues; tasks belong to the account in `AccountId`; leads are closed when converted or unqualified",
    columns={
        "account": {
            "id": ("Id", "Account ID", "Case Safe Account ID", "Account ID (18)", "18 Digit Account ID", "Account-ID", "ID de compte", "ID de cuenta", "ID da conta", "取引先 ID"),
            "name": ("Name", "Account Name", "Accountname", "Nom du compte", "Nombre de la cuenta", "Nome da conta", "取引先名"),
            "owner": ("OwnerId", "Account Owner ID", "Owner ID", "Account Owner: User ID", "Owner.Id", "Account Owner", "Account Owner: Full Name", "Owner.Name", "Owner.Email",
                      "Accountinhaber", "Propriétaire du compte", "Propietario de la cuenta", "Proprietário da conta", "取引先 所有者", "取引先所有者"),
            "parent": ("ParentId", "Parent Account ID", "Parent Account", "Parent.Name", "Übergeordneter Account", "Compte parent", "Cuenta principal", "Conta pai"),
            "website": ("Website", "Webseite", "Site Web", "Sitio Web", "Site", "Web サイト"),
            "phone": ("Phone", "Telefon", "Téléphone", "Teléfono", "Telefone", "電話"),
            "industry": ("Industry", "Branche", "Secteur d'activité", "Sector", "Setor", "業種"),
            "employees": ("NumberOfEmployees", "Employees", "Number of Employees", "Mitarbeiter", "Employés", "Empleados", "Funcionários", "従業員数"),
            "revenue": ("AnnualRevenue", "Annual Revenue", "Annual Revenue (converted)", "Jahresumsatz", "Chiffre d'affaires annuel", "Ingresos anuales", "Receita anual", "年間売上"),
            "street": ("BillingStreet", "Billing Street", "Billing Address Line 1", "Rechnungsstraße", "Rue de facturation"),
            "city": ("BillingCity", "Billing City", "Rechnungsort", "Ville de facturation", "Ciudad de facturación", "Cidade de cobrança"),
            "state": ("BillingState", "Billing State/Province", "Billing State", "BillingStateCode", "Billing State/Province (text only)", "Rechnungsbundesland/-kanton", "Estado o provincia de facturación"),
            "postal_code": ("BillingPostalCode", "Billing Zip/Postal Code", "Billing Postal Code", "Rechnungs-PLZ", "Code postal de facturation", "Código postal de facturación"),
            "country": ("BillingCountry", "Billing Country", "BillingCountryCode", "Billing Country (text only)", "Rechnungsland", "Pays de facturation", "País de facturación", "País de cobrança", "請求先 国"),
            "type": ("Type", "Account Type"),
            "modified_at": ("SystemModstamp", "LastModifiedDate"), "modified_by": ("LastModifiedById",), "deleted": ("IsDeleted",), "merged_into": ("MasterRecordId",), "created": ("CreatedDate", "Created Date", "Account Created Date", "Erstelldatum", "Date de création", "Fecha de creación", "Data de criação", "作成日"),
            "last_activity": ("LastActivityDate", "Last Activity", "Last Activity Date", "Letzte Aktivität", "Dernière activité", "Última actividad"),
            "domain": ("Website", "Webseite", "Site Web", "Sitio Web", "Site", "Web サイト"),
        },
        "lead": {
            "id": ("Id", "Lead ID", "Case Safe Lead ID", "18 Digit Lead ID", "Lead-ID", "ID de la piste", "ID del prospecto", "リード ID"),
            "name": ("Name", "Full Name", "Lead Name"),
            "first_name": ("FirstName", "First Name", "Vorname", "Prénom", "Nombre", "Primeiro nome", "名"),
            "last_name": ("LastName", "Last Name", "Nachname", "Nom de famille", "Apellidos", "Sobrenome", "姓"),
            "company": ("Company", "Company / Account", "Firma", "Société", "Compañía", "Empresa", "会社名"),
            "email": ("Email", "E-Mail", "Adresse e-mail", "Correo electrónico", "メール"), "phone": ("Phone", "Telefon", "Téléphone", "Teléfono", "Telefone", "電話"),
            "website": ("Website",), "lead_source": ("LeadSource", "Lead Source", "Leadquelle", "Origine de la piste", "Origen del prospecto"),
            "status": ("Status", "Lead Status", "Leadstatus", "Statut de la piste", "Estado del prospecto", "Status do lead"), "rating": ("Rating",),
            "industry": ("Industry", "Branche", "Secteur d'activité", "Sector", "Setor"),
            "employees": ("NumberOfEmployees", "No. of Employees", "Number of Employees", "Employees"),
            "country": ("Country", "CountryCode", "Country (text only)", "Land", "Pays", "País", "国"),
            "state": ("State", "State/Province", "StateCode", "State/Province (text only)", "Bundesland/Kanton"),
            "postal_code": ("PostalCode", "Zip/Postal Code", "Postal Code", "PLZ", "Code postal", "Código postal"), "street": ("Street", "Address Line 1"),
            "city": ("City", "Ort", "Ville", "Ciudad", "Cidade"),
            "owner": ("OwnerId", "Lead Owner ID", "Owner ID", "Lead Owner: User ID", "Owner.Id", "Lead Owner", "Lead Owner: Full Name", "Owner.Name", "Owner.Email",
                      "Leadinhaber", "Propriétaire de la piste", "Propietario del prospecto", "Proprietário do lead", "リード 所有者", "リード所有者"),
            "modified_at": ("SystemModstamp", "LastModifiedDate"), "modified_by": ("LastModifiedById",), "deleted": ("IsDeleted",), "merged_into": ("MasterRecordId",), "created": ("CreatedDate", "Create Date", "Created Date", "Erstelldatum", "Date de création", "Fecha de creación", "Data de criação", "作成日"),
            "created_by": ("CreatedById", "Created By ID", "Created By"), "converted": ("IsConverted", "Converted", "Konvertiert"),
            "account": ("ConvertedAccountId", "Converted Account ID", "Converted Account"), "title": ("Title", "Job Title"),
        },
        "contact": {
            "id": ("Id", "Contact ID", "Case Safe Contact ID"), "name": ("Name", "Full Name", "Contact Name"), "first_name": ("FirstName", "First Name"),
            "last_name": ("LastName", "Last Name"), "email": ("Email",), "phone": ("Phone", "Business Phone"), "account": ("AccountId", "Account ID", "Account Name"),
            "title": ("Title",), "created": ("CreatedDate", "Created Date"),
        },
        "opportunity": {
            "id": ("Id", "Opportunity ID", "Case Safe Opportunity ID"), "name": ("Name", "Opportunity Name"), "account": ("AccountId", "Account ID", "Account Name"),
            "owner": ("OwnerId", "Opportunity Owner ID", "Owner ID", "Opportunity Owner", "Opportunity Owner: Full Name", "Owner.Name", "Opportunityinhaber"),
            "stage": ("StageName", "Stage"), "amount": ("Amount", "Amount (converted)"), "is_closed": ("IsClosed", "Closed", "StageName", "Stage"),
            "is_won": ("IsWon", "Won", "StageName", "Stage"), "closed": ("CloseDate", "Close Date"), "modified_at": ("SystemModstamp", "LastModifiedDate"), "modified_by": ("LastModifiedById",), "deleted": ("IsDeleted",), "created": ("CreatedDate", "Created Date"),
        },
        "activity": {
            "id": ("Id", "Activity ID", "Task ID"), "lead": ("WhoId", "Lead ID"), "contact": ("WhoId", "Contact ID"), "account": (*TASK_ACCOUNT, "WhatId", "Company / Account"),
            "rep": ("OwnerId", "Assigned To ID", "Assigned", "Assigned To"), "date": ("ActivityDate", "Due Date", "Due Date Only", "Date"),
            "status": ("Status",), "type": ("TaskSubtype", "Task Subtype", "Type"), "subject": ("Subject",),
        },
        "rep": {
            "id": ("Id", "User ID"), "name": ("Name", "Full Name"), "email": ("Email",), "active": ("IsActive", "Active"), "manager": ("ManagerId", "Manager"),
            "role": ("UserRoleId", "Role", "Role Name"), "timezone": ("TimeZoneSidKey", "Time Zone"), "first_name": ("FirstName", "First Name"), "last_name": ("LastName", "Last Name"),
        },
        "association": {"id": ("Id",), "account": ("ObjectId",), "territory": ("Territory2Id",), "cause": ("AssociationCause",)},
    },
    signs=r"^(?:OwnerId|AccountId|WhoId|WhatId|StageName|IsConverted|BillingCountry|LeadSource|NumberOfEmployees|Owner\.\w+|\w+__c)$|^Billing (?:Country|City|State|Zip|Street)",
    files={"account": ("accounts", "account"), "lead": ("leads", "lead"), "activity": ("tasks", "task", "events"), "rep": ("users", "user")},
    objects={"account": "Account", "lead": "Lead", "contact": "Contact", "opportunity": "Opportunity"},
    open={**OPEN, "lead": lead_unless(LOST)},
    true_words={("opportunity", "is_closed"): frozenset({"closed won", "closed lost", "closed"}), ("opportunity", "is_won"): frozenset({"closed won"})},
    prefixes={"001": "account", "003": "contact", "00Q": "lead", "006": "opportunity", "005": "rep", "00G": "queue"},
    queue_prefixes=("00G",),
)  # fmt: skip
