"""What a policy says of itself: its name, roles, clock and calendar, and the CRM that its data comes from."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Literal

from roe.crm import PROFILES
from roe.diagnostics import suggest
from roe.grammar.clock import CALENDAR_YEAR, OFFICE, Fiscal, holidays_of, hours_of, zone_of
from roe.grammar.values import MONTHS
from roe.policy.context import Context
from roe.policy.section import FilePath, Form, Identifier, Name, Section, key, section
from roe.source import Text


@section
class FiscalYearSection(Section):
    """when the fiscal year starts, and how it is named"""

    starts: Text = key("the month it starts in")
    named_by: Literal["start", "end"] = key("named after the year in which it starts or ends; default: ends", default="end")


@section
class SettingsSection(Section):
    """Rules of engagement: who owns which account or lead, in which role, until when."""

    roe: Annotated[Literal[1], Form(type="integer", description="the version of this format")]
    name: Name
    description: Text | None = None
    timezone: Text | None = key("an IANA time zone; UTC unless given", default=None)
    calendar: Text | None = key("the country or state whose public holidays are not working days: US, DE, US-CA", default=None)
    working_hours: Text | None = key("when work begins and ends on a working day, such as 09:00-17:30", default=None)
    fiscal_year: Text | FiscalYearSection | None = key(
        "the month in which the fiscal year starts, such as February; fiscal_year() and fiscal_quarter() use it", default=None
    )
    profile: Annotated[Text, Form(enum=list(PROFILES))] | None = key("the CRM that the column names come from", default=None)
    include: tuple[FilePath, ...] = ()
    roles: Annotated[tuple[Identifier, ...], Form(minItems=1)] = key(
        "the roles that own records; `owner` without a role means the first one", default=("owner",)
    )


def time_zone(settings: SettingsSection, cx: Context) -> str:
    for given, check in ((settings.timezone, zone_of), (settings.calendar, holidays_of)):
        if given:
            try:
                check(str(given))
            except ValueError as e:
                cx.say("R311", given, str(e), "an IANA name such as Europe/Berlin; a country code such as US or DE-BY")
    return str(settings.timezone or "UTC")


def working_hours(settings: SettingsSection, cx: Context) -> tuple[time, time]:
    hours = hours_of(str(settings.working_hours or ""))
    if settings.working_hours and hours is None:
        cx.say("R311", settings.working_hours, f"`{settings.working_hours}` are not working hours", "write them as 09:00-17:30")
    return hours or OFFICE


def fiscal_year(settings: SettingsSection, cx: Context) -> Fiscal:
    """`fiscal_year: February`, or `{starts: February, named_by: start}`."""
    given = settings.fiscal_year
    if given is None:
        return CALENDAR_YEAR
    month = given.starts if isinstance(given, FiscalYearSection) else given
    months = [m.lower() for m in MONTHS]
    said = str(month).strip().lower()
    number = next((i for i, name in enumerate(months, 1) if said in (name, name[:3], str(i))), None)
    if number is None:
        cx.say("R311", month, f"`{month}` is not a month", suggest(said, months, "write `fiscal_year: February`"))
        return CALENDAR_YEAR
    return Fiscal(number, not isinstance(given, FiscalYearSection) or given.named_by == "end")
