"""Words that several pages use."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

# action -> what it says of the owner
ACTIONS = {
    "keep": "keeps it", "assign": "assigned", "route": "from a pool", "open": "open", "hold": "on hold", "return": "returned",
    "refer": "to be decided", "exception": "by exception", "unassigned": "nobody",
}  # fmt: skip


def relative(x: Any, now: datetime) -> str:
    """How far a day is from now: `in 12 days`, `today`, `3 days ago`; of moments on the same day the hours."""
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
