"""Words that several pages use."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo

from roe.grammar import values as v
from roe.grammar.values.text import MONTHS

# action -> what it says of the owner
ACTIONS = {
    "keep": "keeps it", "assign": "assigned", "route": "from a pool", "open": "open", "hold": "on hold", "return": "returned",
    "refer": "to be decided", "exception": "by exception", "unassigned": "nobody",
}  # fmt: skip

# what the page says after an act, by the word that the address carries
DONE = {
    "answered": "Your decision is written down. The rules do not ask again until its day.",
    "requested": "Your request is written down. RevOps sees it under Exceptions.",
    "granted": "The exception is granted, and comes before every rule.",
    "declined": "The request is declined, with your reason.",
    "ended": "The exception has ended. The rules decide again.",
    "away": "New records go to others until then.",
    "back": "New records come again.",
    "undone": "The run is undone. What it gave is held as it was before.",
    "reviewed": "Your word on this change is written down.",
    "weighed": "Your choice is written down.",
    "kept": "Send the address of this page: it shows this decision as it is now, whatever happens later.",
    "applied": "The plan is applied. The next run uses its books.",
}


def day_in(zone: tzinfo | None, x: date | datetime | str | None) -> str:
    """A day, or a moment with its time if it is not midnight, in a time zone; None for the moment's own."""
    if isinstance(x, str):
        x = v.parse_temporal(x) or x
    if isinstance(x, datetime):
        is_day = (x.hour, x.minute, x.second) == (0, 0, 0)  # a day of the policy is the same day for everybody
        x = x.astimezone(zone) if zone is not None and x.tzinfo is not None and not is_day else x
        return f"{x.day} {x:%b %Y}" if is_day else f"{x.day} {x:%b %Y, %H:%M}"
    if isinstance(x, date):
        return f"{x.day} {x:%b %Y}"
    return "" if x is None else str(x)


_MOMENT = re.compile(rf"\b(\d{{1,2}}) ({'|'.join(MONTHS)}) (\d{{4}}), (\d\d):(\d\d)\b")


def moments_in(zone: tzinfo, written: tzinfo, text: str) -> str:
    """A sentence with its moments in a reader's time zone. Reasons are written in the policy's, before anybody reads them."""

    def moved(match: re.Match[str]) -> str:
        day, month, year, hour, minute = match.groups()
        try:
            x = datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), tzinfo=written).astimezone(zone)
        except (ValueError, OverflowError):  # a text that only looks like a moment
            return match[0]
        return f"{x.day} {MONTHS[x.month - 1]} {x.year}, {x:%H:%M}"

    return text if zone == written else _MOMENT.sub(moved, text)


def relative(x: date | datetime | str | None, now: datetime) -> str:
    """How far a day is from now: `in 12 days`, `today`, `3 days ago`; of moments on the same day the hours."""
    if isinstance(x, str):
        x = v.parse_temporal(x)
    if not isinstance(x, date):
        return ""
    if isinstance(x, datetime):
        moment = x if x.tzinfo is not None else x.replace(tzinfo=now.tzinfo)
        seconds = (moment - now).total_seconds()
        if abs(seconds) < 86_400:
            hours = seconds / 3600
            if abs(hours) < 1:
                return f"in {round(seconds / 60)} min" if seconds >= 0 else f"{round(-seconds / 60)} min ago"
            return f"in {hours:.0f} h" if hours >= 0 else f"{-hours:.0f} h ago"
        days = (moment.astimezone(now.tzinfo).date() - now.date()).days
    else:
        days = (x - now.date()).days
    if days == 0:
        return "today"
    if days in (1, -1):
        return "tomorrow" if days == 1 else "yesterday"
    return f"in {days} days" if days > 0 else f"{-days} days ago"
