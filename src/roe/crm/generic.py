"""No CRM in particular: the fields' own names, and what `roe init` takes other headers for.

The profile itself reads a field under its own name only. `WORDS` are guesses for a draft, which writes each of them down
as `column:`, where a person can correct it.
"""

from __future__ import annotations

from roe.crm.profile import Headers, Profile

OPEN = {"lead": "lead.converted != true", "opportunity": "opportunity.is_closed != true"}


def lead_unless(statuses: tuple[str, ...]) -> str:
    """The condition of an open lead of a CRM in which these statuses, in any case, end it."""
    listed = ", ".join(f'"{s.lower()}"' for s in statuses)
    return f"{OPEN['lead']} and (lead.status = null or lower_case(lead.status) not in ({listed}))"


GENERIC = Profile("generic", headers="the fields' own names", open=OPEN)

_NAME = (
    "Company", "Company Name", "Customer", "Customer Name", "Organization", "Organisation", "Security", "Client", "Firm", "Business Name",
    "Firma", "Firmenname", "Unternehmen", "Unternehmensname", "Kunde", "Kundenname",
    "Entreprise", "Société", "Raison sociale", "Nom de l'entreprise", "Client", "Nom du client",
    "Empresa", "Nombre de la empresa", "Cliente", "Razón social", "Nombre", "Nome da empresa", "Nome", "Razão social",
    "Azienda", "Ragione sociale", "Bedrijf", "Bedrijfsnaam", "Klant", "会社名", "企業名", "顧客名",
)  # fmt: skip
_OWNER = (
    "Owner", "Owner Name", "Owner Email", "Sales Rep", "Rep", "Salesperson", "Sales Person", "Sales Agent", "Account Manager", "Account Executive",
    "Assigned To", "Responsible", "Owner ID", "Sales Rep ID", "SR ID", "SDR ID",
    "Betreuer", "Kundenbetreuer", "Verantwortlicher", "Verantwortlich", "Zuständig", "Zuständiger Mitarbeiter", "Inhaber", "Vertriebsmitarbeiter",
    "Verkäufer", "Commercial", "Propriétaire", "Responsable", "Vendedor", "Propietario", "Comercial", "Ejecutivo", "Responsável", "Proprietário",
    "Executivo", "Commerciale", "Responsabile", "Accountmanager", "Verkoper", "担当者", "所有者", "営業担当",
)  # fmt: skip
_COUNTRY = (
    "Country",
    "Country/Region",
    "Country Name",
    "Land",
    "Pays",
    "País",
    "Pais",
    "Paese",
    "国",
    "国/地域",
    "Office Location",
    "Country Code",
)
_STATE = ("State", "State/Province", "Province", "Region/State", "Bundesland", "Département", "Provincia", "Estado", "都道府県")
_CITY = ("City", "Town", "Stadt", "Ort", "Ville", "Ciudad", "Cidade", "Città", "Plaats", "市区町村")
_POSTAL = ("Postal Code", "Zip", "Zip Code", "Postcode", "PLZ", "Postleitzahl", "Code postal", "Código postal", "CEP", "CAP", "郵便番号")
_INDUSTRY = (
    "Industry", "Sector", "Vertical", "GICS Sector", "Branche", "Industrie", "Secteur", "Secteur d'activité", "Industria", "Setor", "Settore", "業種",
    "Business Segment",
)  # fmt: skip
_EMPLOYEES = (
    "Employees", "Number of Employees", "Headcount", "Mitarbeiter", "Mitarbeiterzahl", "Anzahl Mitarbeiter", "Effectif", "Nombre d'employés",
    "Empleados", "Número de empleados", "Funcionários", "Número de funcionários", "Dipendenti", "Medewerkers", "従業員数",
)  # fmt: skip
_REVENUE = (
    "Revenue", "Annual Revenue", "Turnover", "Umsatz", "Jahresumsatz", "Jährlicher Umsatz", "Chiffre d'affaires", "Ingresos", "Ingresos anuales", "Facturación",
    "Receita", "Receita anual", "Faturamento", "Fatturato", "Omzet", "売上高",
)  # fmt: skip
_WEBSITE = ("Website", "Web", "URL", "Homepage", "Webseite", "Site web", "Sitio web", "Site", "Sito web", "ウェブサイト")
_DOMAIN = ("Domain", "Company Domain Name", "Domaine", "Dominio", "Domínio", "ドメイン")
_SEGMENT = ("Segment", "Size Segment", "Segmento", "Company Size", "Tier")
_EMAIL = (
    "Email",
    "E-mail",
    "Email Address",
    "E-Mail-Adresse",
    "Mail",
    "Correo",
    "Correo electrónico",
    "Courriel",
    "Adresse e-mail",
    "メールアドレス",
)
_PHONE = (
    "Phone",
    "Phone Number",
    "Telephone",
    "Telefon",
    "Telefonnummer",
    "Téléphone",
    "Teléfono",
    "Telefone",
    "Telefono",
    "電話番号",
    "電話",
)
_CREATED = (
    "Created", "Created At", "Created Date", "Created On", "Create Date", "Created Time", "Date Created", "Date Added", "First Contact Date",
    "Erstellt", "Erstellt am", "Angelegt am", "Erstelldatum", "Erstellungsdatum", "Datum der Erstellung", "Créé le", "Date de création", "Fecha de creación", "Creado", "Data de criação",
    "Criado em", "作成日", "作成日時",
)  # fmt: skip
_ID = (
    "Id", "Record ID", "Record Id", "External ID", "Customer ID", "Customer Number", "Account Number", "Kundennummer", "Kunden-Nr.", "Kundennr",
    "Nr", "Nr.", "Numéro client", "N° client", "Código", "Código de cliente", "No.", "Number", "Key", "Symbol", "番号", "顧客ID",
)  # fmt: skip

# what `roe init` takes a header for
WORDS: Headers = {
    "account": {
        "id": ("Account ID", "Company ID", "Organization ID", *_ID), "name": ("Account", "Account Name", *_NAME), "owner": ("Account Owner", *_OWNER),
        "country": _COUNTRY, "state": _STATE, "city": _CITY, "postal_code": _POSTAL, "industry": _INDUSTRY, "employees": _EMPLOYEES,
        "revenue": _REVENUE, "website": _WEBSITE, "domain": _DOMAIN, "segment": _SEGMENT, "phone": _PHONE, "created": _CREATED,
        "parent": ("Parent", "Parent Account", "Parent Company", "Subsidiary of", "Muttergesellschaft", "Société mère", "Empresa matriz"),
        "last_activity": ("Last Activity", "Last Activity Date", "Last Contact", "Letzte Aktivität", "Dernière activité", "Última actividad"),
    },
    "lead": {
        "id": ("Lead ID", "MQL ID", *_ID), "name": ("Lead", "Lead Name", "Full Name", "Name", "Contact Name", "Ansprechpartner", "Nom complet"),
        "first_name": ("First Name", "Vorname", "Prénom", "Nombre", "Nome", "名"), "last_name": ("Last Name", "Surname", "Nachname", "Nom", "Nom de famille", "Apellidos", "Apellido", "Sobrenome", "姓"),
        "company": _NAME, "owner": ("Lead Owner", *_OWNER), "email": _EMAIL, "phone": _PHONE, "country": _COUNTRY, "state": _STATE, "city": _CITY,
        "postal_code": _POSTAL, "industry": _INDUSTRY, "employees": _EMPLOYEES, "created": _CREATED, "website": _WEBSITE,
        "title": ("Title", "Job Title", "Position", "Fonction", "Cargo", "役職"),
        "lead_source": ("Lead Source", "Source", "Origin", "Quelle", "Herkunft", "Fuente", "Origen", "Origem"), "status": ("Status", "Lead Status", "Statut", "Estado"),
    },
    "opportunity": {
        "id": ("Opportunity ID", "Deal ID", *_ID), "name": ("Opportunity Name", "Deal Name", "Potential Name", "Opportunity", "Deal"),
        "account": ("Account", "Account Name", "Account ID", "Company", "Customer", "Organization", "Firma", "Kunde", "Empresa", "Entreprise"),
        "stage": ("Stage", "Deal Stage", "Phase", "Etapa", "Étape"), "amount": ("Amount", "Value", "Close Value", "Betrag", "Montant", "Importe", "Valor"),
        "owner": ("Opportunity Owner", "Deal Owner", *_OWNER), "created": (*_CREATED, "Engage Date"), "closed": ("Close Date", "Closing Date", "Won Date"),
        "product": ("Product", "Produkt", "Produit", "Producto", "Produto"),
    },
    "rep": {
        "id": ("User ID", "Rep ID", "Owner ID", "Employee ID", "Personalnummer", "Id"),
        "name": ("Name", "Full Name", "Rep", "Sales Rep", "Sales Agent", "Owner", "User", "Username", "Mitarbeiter", "Nom", "Nombre", "Nome", "氏名"),
        "first_name": ("First Name", "Vorname", "Prénom"), "last_name": ("Last Name", "Nachname", "Apellidos", "Sobrenome"), "email": _EMAIL,
        "manager": ("Manager", "Reports To", "Vorgesetzter", "Responsable", "Gestor"), "team": ("Team", "Equipo", "Équipe", "Equipe"),
        "region": ("Region", "Regional Office", "Territory", "Région", "Región", "Região"), "role": ("Role", "Title", "Rolle", "Rôle", "Rol"),
        "active": ("Active", "Is Active", "Aktiv", "Actif", "Activo", "Ativo"),
    },
    "activity": {
        "id": ("Activity ID", "Task ID", *_ID), "type": ("Type", "Activity Type", "Typ"), "subject": ("Subject", "Betreff", "Objet", "Asunto"),
        "date": ("Date", "Due Date", "Activity Date", "Datum", "Fecha", "Data"), "status": ("Status",),
        "account": ("Account", "Account ID", "Account Name", "Company"), "lead": ("Lead", "Lead ID"), "rep": _OWNER,
    },
    "contact": {
        "id": ("Contact ID", *_ID), "first_name": ("First Name", "Vorname", "Prénom", "Nombre"), "last_name": ("Last Name", "Nachname", "Nom", "Apellidos"),
        "email": _EMAIL, "phone": _PHONE, "account": ("Account", "Account ID", "Account Name", "Company", "Firma", "Empresa", "Entreprise"),
    },
}  # fmt: skip
