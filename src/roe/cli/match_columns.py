"""Which column of a file `roe match` takes for which field: what `--map` says, what the policy knows, and what the column's name says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from roe.cli.common import fail
from roe.cli.match_files import Records
from roe.crm import spellings
from roe.crm.profile import label
from roe.data.headers import columns_of, normal
from roe.diagnostics import Diagnostic, suggest, user_error
from roe.policy.model import Policy
from roe.source import Span
from roe.words import counted

FOUND_BY = {
    "lead": ("company", "email", "website", "phone"),
    "account": ("name", "domain", "website", "phone"),
}  # a file has one of them at least

# the other names under which files have a field; as `normal` writes them
SYNONYMS: dict[str, dict[str, tuple[str, ...]]] = {
    "lead": {
        "company": (
            "company_name",
            "organization",
            "organisation",
            "account_name",
            "account",
            "employer",
            "firma",
            "business_name",
            "name",
        ),
        "email": ("email_address", "e_mail", "mail", "work_email"),
        "website": ("url", "web", "homepage", "domain", "web_site", "company_domain"),
        "phone": ("phone_number", "telephone", "tel", "mobile"),
        "country": ("country_region", "country_code", "billing_country", "land"),
        "city": ("town", "billing_city", "ort", "stadt"),
        "postal_code": ("zip", "zip_code", "zipcode", "postcode", "billing_postal_code", "plz"),
        "street": ("address", "street_address", "billing_street", "strasse", "addr"),
    },
    "account": {
        "name": ("company_name", "company", "account_name", "organization", "organisation", "firma", "business_name", "title"),
        "domain": ("company_domain_name", "website", "url", "web", "homepage", "web_site", "email_domain"),
        "phone": ("phone_number", "telephone", "tel"),
        "country": ("country_region", "country_code", "billing_country", "land"),
        "city": ("town", "billing_city", "ort", "stadt"),
        "postal_code": ("zip", "zip_code", "zipcode", "postcode", "billing_postal_code", "plz"),
        "street": ("address", "street_address", "billing_street", "strasse", "addr"),
    },
}


def asked_columns(mapped: Iterable[str], policy: Policy, headers: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    """field -> column of each file, as `--map` asks for it. Ends the command for a field or a column that there is not."""
    asked_for: dict[str, dict[str, str]] = {"lead": {}, "account": {}}
    problems = []
    for text in mapped:
        field, equals, column = text.partition("=")
        entity, dot, name = field.strip().partition(".")
        entities = [entity] if dot else ["lead", "account"]
        name = name if dot else entity
        meant = {e: _meant(e, name) for e in entities if e in asked_for and _meant(e, name) in policy.model.entities[e]}
        fits = {e: known for e, known in meant.items() if column in headers[e]}
        if not fits:
            problems.append(_misread(text, name if equals else "", column if meant else "", policy, headers))
        for e, known in fits.items():
            asked_for[e][known] = column
    if problems:
        fail(problems)
    return asked_for


def _misread(text: str, name: str, column: str, policy: Policy, headers: Mapping[str, Sequence[str]]) -> Diagnostic:
    """What is wrong with a `--map`: it is no pair, or there is no such field, or no such column."""
    at = Span("--map", 1, 1, 2, text)
    if not name:
        return Diagnostic("R801", f"`--map {text}` is not FIELD=COLUMN", at, "write, for example, --map company=Firma")
    if column:
        known = sorted({*headers["lead"], *headers["account"]})
        return Diagnostic("R801", f"there is no column `{column}`", at, suggest(column, known, f"the columns are {', '.join(known)}"))
    fields = sorted({*SYNONYMS["lead"], *SYNONYMS["account"]})
    known = sorted({*policy.model.entities["lead"], *policy.model.entities["account"]})
    return Diagnostic("R801", f"there is no field `{name}`", at, suggest(name, known, f"map one of {', '.join(fields)}"))


def _meant(entity: str, name: str) -> str:
    """A lead's company is an account's name."""
    return {("account", "company"): "name", ("account", "email"): "domain"}.get((entity, name), name)


def columns_in(policy: Policy, entity: str, records: Records, asked: Mapping[str, str]) -> dict[str, str]:
    """field -> column: what was asked for, what the policy knows, and what the column's name says in any CRM's export."""
    headers = records.headers
    columns = columns_of(entity, policy.model.entities[entity], headers, policy.roles)
    by_name = {normal(h): h for h in reversed(headers)}
    by_label = {label(h): h for h in reversed(headers)}
    for name, others in SYNONYMS[entity].items():
        column = next((by_name[o] for o in others if o in by_name), None)
        if column is None:
            spelt = (by_label.get(label(header)) for header in spellings(entity, name))
            column = next((header for header in spelt if header is not None and header not in columns.values()), None)
        if name not in columns and column is not None:
            columns[name] = column
    if "id" not in columns:
        ids = [h for h in headers if normal(h).endswith("_id") or normal(h) in ("record_id", "key", "nr", "no")]
        column = next(filter(records.tells_apart, ids), None)
        if column is not None:
            columns["id"] = column
    return {**columns, **asked}


def tell(path: Path, entity: str, records: Records, columns: Mapping[str, str]) -> None:
    """Say which columns are read as what, and which are not. Ends the command for a file that has nothing to go by."""
    if not any(name in columns for name in FOUND_BY[entity]):
        needs = ", ".join(FOUND_BY[entity])
        raise user_error(
            "R633",
            f"no column is known to be {needs}",
            path,
            f"name it: --map {FOUND_BY[entity][0]}=… (there are {', '.join(records.headers)})",
        )
    read = ", ".join(f"{name} from `{columns[name]}`" for name in ("id", *SYNONYMS[entity]) if name in columns)
    unread = [h for h in records.headers if h not in columns.values()]
    click.echo(f"{path.name}: {counted(records.n, 'row')}; {read}", err=True)
    if unread:
        click.echo(f"  not used: {', '.join(unread)}", err=True)
