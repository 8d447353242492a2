"""HubSpot: the headers of its exports, which follow the language of the user who exports.

Sources: knowledge.hubspot.com "HubSpot's default company, contact and deal properties" in English, German, French, Spanish,
Portuguese and Japanese; headers pinned from real Spanish exports in public code (`ID de registro`, `Propietario del contacto`,
`Associated Company IDs (Primary)`: associations are headed in English in every language). Where an object is called in an
account's own words, declare its columns in the policy.
"""

from __future__ import annotations

from roe.crm.generic import OPEN, lead_unless
from roe.crm.profile import Profile

_ID = (
    "Record ID", "Record ID - Company", "Record ID - Contact", "Record ID - Deal", "Company ID", "Contact ID", "Deal ID", "hs_object_id",
    "ID de registro", "Datensatz-ID", "ID des Datensatzes", "ID d'enregistrement", "ID de l'enregistrement", "ID de fiche d'informations", "ID de l'objet",
    "ID do registro", "ID de registro", "レコードID",
)  # fmt: skip
_COMPANY_NAME = (
    "Company name", "Company Name", "Name", "Nombre de la empresa", "Nombre de empresa", "Unternehmensname", "Name des Unternehmens", "Nom de l'entreprise",
    "Nome da empresa", "会社名", "企業名",
)  # fmt: skip
_DOMAIN = (
    "Company Domain Name", "Domain", "Nombre de dominio de la empresa", "Domain-Name des Unternehmens", "Domain des Unternehmens", "Unternehmensdomain", "Domainname des Unternehmens",
    "Domänenname des Unternehmens", "Unternehmens-Domain-Name", "Unternehmens-Domainname", "Nom de domaine de l'entreprise", "Nome de domínio da empresa", "Nome do domínio da empresa", "会社のドメイン名", "会社ドメイン名", "企業のドメイン名",
)  # fmt: skip
_COMPANY_OWNER = (
    "Company owner", "Propietario de la empresa", "Für Unternehmen zuständiger Mitarbeiter", "Zuständiger Mitarbeiter für Unternehmen",
    "Für das Unternehmen zuständiger Mitarbeiter", "Unternehmensinhaber", "Zuständiger Mitarbeiter", "Propriétaire de l'entreprise", "Proprietário da empresa",
    "会社の担当者", "会社担当者", "企業担当者", "企業の担当者", "会社の所有者", "hubspot_owner_id",
)  # fmt: skip
_CONTACT_OWNER = (
    "Contact owner", "Propietario del contacto", "Für Kontakt zuständiger Mitarbeiter", "Zuständiger Mitarbeiter für Kontakt", "Für den Kontakt zuständiger Mitarbeiter",
    "Kontaktinhaber", "Zuständiger Mitarbeiter", "Propriétaire du contact", "Proprietário do contato", "コンタクト担当者", "コンタクトの担当者", "コンタクト所有者", "hubspot_owner_id",
)  # fmt: skip
_DEAL_OWNER = (
    "Deal owner", "Propietario del negocio", "Für Deal zuständiger Mitarbeiter", "Zuständiger Mitarbeiter für Deal", "Für den Deal zuständiger Mitarbeiter",
    "Propriétaire de la transaction", "Proprietário do negócio", "取引担当者", "取引の担当者", "hubspot_owner_id",
)  # fmt: skip
_FIRST_NAME = ("First Name", "Nombre", "Vorname", "Prénom", "Nome", "Primeiro nome", "名")
_LAST_NAME = ("Last Name", "Apellidos", "Nachname", "Nom", "Nom de famille", "Sobrenome", "姓")
_EMAIL = (
    "Email",
    "Correo",
    "Correo electrónico",
    "E-Mail",
    "E-Mail-Adresse",
    "E-mail",
    "Adresse e-mail",
    "Eメール",
    "メール",
    "メールアドレス",
)
_CREATED = (
    "Create Date",
    "Created",
    "Fecha de creación",
    "Erstelldatum",
    "Erstellungsdatum",
    "Datum der Erstellung",
    "Erstellt am",
    "Date de création",
    "Data de criação",
    "作成日",
)
_PHONE = ("Phone Number", "Número de teléfono", "Telefonnummer", "Numéro de téléphone", "Número de telefone", "電話番号")
_COUNTRY = (
    "Country/Region",
    "Country",
    "País/región",
    "País",
    "Land/Region",
    "Land",
    "Pays/région",
    "Pays",
    "País/Região",
    "国/地域",
    "国",
)
_STATE = (
    "State/Region",
    "State",
    "Estado/región",
    "Estado o región",
    "Bundesland/Region",
    "Bundesland/Kanton",
    "Staat/Region",
    "État/région",
    "Région/État",
    "Estado/Região",
    "都道府県/地域",
    "都道府県",
)
_CITY = ("City", "Ciudad", "Stadt", "Ort", "Ville", "Cidade", "市区町村")
_POSTAL = ("Postal Code", "Zip Code", "Código postal", "Postleitzahl", "PLZ", "Code postal", "CEP", "Código Postal", "郵便番号")
_STREET = ("Street Address", "Dirección", "Straße und Hausnummer", "Adresse postale", "Adresse", "Endereço", "住所", "番地")
_INDUSTRY = ("Industry", "Sector", "Branche", "Secteur d'activité", "Secteur", "Setor", "Segmento", "業種")
_EMPLOYEES = (
    "Number of Employees", "Número de empleados", "Cantidad de empleados", "Anzahl der Mitarbeiter", "Mitarbeiterzahl", "Nombre d'employés", "Número de funcionários", "従業員数",
)  # fmt: skip
_REVENUE = (
    "Annual Revenue",
    "Ingresos anuales",
    "Jahresumsatz",
    "Jährlicher Umsatz",
    "Chiffre d'affaires annuel",
    "Receita anual",
    "年間売上高",
    "年間収益",
    "年間売上",
)
_ACTIVITY = (
    "Last Activity Date", "Fecha de la última actividad", "Última actividad", "Datum der letzten Aktivität", "Letztes Aktivitätsdatum", "Date de la dernière activité",
    "Dernière activité", "Data da última atividade", "Última atividade", "最終アクティビティー日", "最終アクティビティ日",
)  # fmt: skip
_WEBSITE = (
    "Website URL",
    "URL del sitio web",
    "Website-URL",
    "URL der Website",
    "URL du site web",
    "URL do site",
    "ウェブサイトURL",
    "ウェブサイトのURL",
)
_COMPANY = (  # associations: today's exports mark the primary one
    "Associated Company IDs (Primary)", "Associated Company ID (Primary)", "Primary Associated Company ID", "Associated Company IDs", "Associated Company ID",
    "Primary Company ID", "Associated Company (Primary)", "Associated Company Names (Primary)", "Associated Company", "Associated Companies", "Primary Company",
    "IDs de empresa asociada", "ID de empresa asociada", "Empresa asociada", "IDs zugehöriger Unternehmen", "Zugehörige Unternehmens-IDs", "Zugeordnete Unternehmens-IDs", "Zugeordnetes Unternehmen", "ID des zugehörigen Unternehmens", "Zugehöriges Unternehmen",
    "ID d'entreprise associée", "Entreprise associée", "ID da empresa associada", "Empresa associada", "関連会社ID", "関連付けられた会社",
)  # fmt: skip
_STAGE = (
    "Deal Stage",
    "Etapa del negocio",
    "Deal-Phase",
    "Dealphase",
    "Phase de la transaction",
    "Étape de la transaction",
    "Etapa do negócio",
    "Fase do negócio",
    "取引ステージ",
)

# the two closed stages of the default pipeline, by label in each language and by internal name
WON = frozenset({"closed won", "closedwon", "cierre ganado", "cerrado ganado", "abgeschlossen und gewonnen", "gewonnen", "fermé gagné", "gagné", "fechado ganho", "fechado e ganho", "negócio fechado", "成約"})  # fmt: skip
LOST = frozenset({"closed lost", "closedlost", "cierre perdido", "cerrado perdido", "abgeschlossen und verloren", "verloren", "fermé perdu", "perdu", "fechado perdido", "fechado e perdido", "negócio perdido", "失注", "不成立"})  # fmt: skip
UNQUALIFIED = (
    "Unqualified",
    "No calificado",
    "No cualificado",
    "Nicht qualifiziert",
    "Unqualifiziert",
    "Non qualifié",
    "Não qualificado",
    "Desqualificado",
    "不適格",
    "不適合",
)

HUBSPOT = Profile(
    "hubspot",
    headers="exports in English, German, French, Spanish, Portuguese and Japanese; `… (Primary)`",
    also="`id;id` cells; `(Deactivated User)` after a name; a deal is closed by its stage; leads are closed when unqualified",
    title="HubSpot",
    columns={
        "account": {
            "id": _ID, "name": _COMPANY_NAME, "domain": _DOMAIN, "owner": _COMPANY_OWNER, "industry": _INDUSTRY, "employees": _EMPLOYEES, "revenue": _REVENUE,
            "other_domains": ("Additional Domains", "Dominios adicionales", "Zusätzliche Domains", "Domaines supplémentaires", "Domínios adicionais", "追加ドメイン"),
            "country": _COUNTRY, "state": _STATE, "postal_code": _POSTAL, "city": _CITY, "street": _STREET, "last_activity": _ACTIVITY, "modified_at": ("hs_lastmodifieddate",), "modified_by": ("hs_updated_by_user_id",), "created": _CREATED,
            "phone": _PHONE, "website": _WEBSITE, "parent": ("Parent Company", "Parent Company ID", "Empresa matriz", "Übergeordnetes Unternehmen", "Entreprise mère", "Empresa controladora", "親会社"),
            "type": ("Type", "Tipo", "Typ", "タイプ"),
        },
        "lead": {
            "id": _ID, "first_name": _FIRST_NAME, "last_name": _LAST_NAME, "email": _EMAIL,
            "company": ("Company name", "Company Name", "Nombre de la empresa", "Unternehmensname", "Name des Unternehmens", "Nom de l'entreprise", "Nome da empresa", "会社名", "企業名"),
            "owner": _CONTACT_OWNER, "status": ("Lead Status", "Estado del lead", "Leadstatus", "Lead-Status", "Statut du lead", "Status do lead", "リードステータス"),
            "modified_at": ("hs_lastmodifieddate",), "modified_by": ("hs_updated_by_user_id",), "created": _CREATED, "account": _COMPANY, "phone": _PHONE, "country": _COUNTRY, "state": _STATE, "city": _CITY, "postal_code": _POSTAL, "street": _STREET,
            "name": ("Full Name", "Nombre completo", "Vollständiger Name", "Nom complet", "Nome completo", "氏名"),
            "title": ("Job Title", "Cargo", "Puesto", "Jobbezeichnung", "Position", "Intitulé du poste", "Fonction", "役職"),
            "industry": _INDUSTRY, "website": _WEBSITE,
            "lead_source": ("Original Traffic Source", "Original Source", "Fuente original", "Fuente de tráfico original", "Ursprüngliche Quelle", "Ursprüngliche Traffic-Quelle", "Source d'origine", "Fonte original", "Origem original", "オリジナルソース", "元のソース"),
        },
        "contact": {
            "id": _ID, "first_name": _FIRST_NAME, "last_name": _LAST_NAME, "email": _EMAIL, "account": _COMPANY, "created": _CREATED, "phone": _PHONE, "title": ("Job Title", "Cargo"),
        },
        "opportunity": {
            "id": _ID, "name": ("Deal Name", "Nombre del negocio", "Deal-Name", "Dealname", "Name des Deals", "Nom de la transaction", "Nome do negócio", "取引名"),
            "stage": _STAGE, "owner": _DEAL_OWNER, "amount": ("Amount", "Valor", "Cantidad", "Importe", "Betrag", "Wert", "Montant", "金額"),
            "closed": ("Close Date", "Fecha de cierre", "Abschlussdatum", "Date de fermeture", "Date de clôture", "Data de fechamento", "完了日", "クローズ日"), "modified_at": ("hs_lastmodifieddate",), "modified_by": ("hs_updated_by_user_id",), "created": _CREATED, "account": _COMPANY,
            "is_closed": ("Is Deal Closed?", "Is Closed", "hs_is_closed", *_STAGE), "is_won": ("Is Closed Won", "hs_is_closed_won", *_STAGE),
        },
        "rep": {
            "id": ("User ID", "Owner ID", "Id"), "name": ("Name", "Full Name", "Nombre", "Nom", "Nome", "名前", "User"), "first_name": ("First Name", "Vorname", "Prénom"),
            "last_name": ("Last Name", "Nachname", "Apellidos", "Sobrenome"), "email": ("Email", "Correo", "E-Mail", "E-mail", "Eメール"), "team": ("Primary team", "Main team", "Team"),
        },
        "activity": {
            "id": _ID, "type": ("Activity Type", "Task Type", "Engagement type"), "subject": ("Task Title", "Call Title", "Title"), "date": ("Activity date", "Due date", "Call date"),
            "status": ("Task Status", "Call outcome"), "account": _COMPANY, "lead": ("Associated Contact IDs", "Associated Contact IDs (Primary)", "Associated Contact"), "rep": ("Activity assigned to", "Assigned to"),
        },
    },
    signs=r"^(?:Record ID(?: - \w+)?|ID de registro|Datensatz-ID|ID d'enregistrement|ID de fiche d'informations|ID do registro|レコードID)$|^Associated (?:Company|Contact)",
    files={
        "account": ("companies", "hubspot crm exports all companies", "empresas", "unternehmen", "entreprises", "todas empresas", "todos empresas", "会社"),
        "lead": ("contacts", "hubspot crm exports all contacts", "contactos", "kontakte", "contatos", "コンタクト"),
        "opportunity": ("deals", "hubspot crm exports all deals", "negocios", "transactions", "negócios", "取引"), "rep": ("owners", "users", "propietarios", "usuarios"),
    },
    objects={"account": "companies", "lead": "contacts", "contact": "contacts", "opportunity": "deals"},
    owner="name",
    open={**OPEN, "lead": lead_unless(UNQUALIFIED)},
    true_words={("opportunity", "is_closed"): WON | LOST, ("opportunity", "is_won"): WON},
    several=";",
    left=r"\s*\((?:Deactivated User|Deactivated|Removed User|Usuario desactivado|Deaktivierter (?:Benutzer|Nutzer)|Utilisateur désactivé|Usuário desativado|無効(?:な|化された)ユーザー)\)\s*$",
)  # fmt: skip
