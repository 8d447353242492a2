"""What a row of the data says of a record's owner, before the ledger is asked."""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple

from roe.data.coerce import MODIFIED, stamp
from roe.dynamic import Values

MODIFIED_BY = "modified_by"  # the field that says which user of the CRM last changed a row


class InData(NamedTuple):
    """The owner in a role, since when, whether the data has a column of that owner, and when the CRM last changed the row.

    `writer` is the user of the CRM who did so, and `parent` the `entity|record` whose owner the CRM passes on to this record.
    """

    holder: str | None
    since: date | None
    has_column: bool
    read_at: datetime | None
    writer: str = ""
    parent: str = ""


def stamp_of(row: Values) -> datetime | None:
    """When the CRM last changed a row, where the data says so to the moment."""
    return stamp(dict.get(row, MODIFIED))
