"""What `roe init --from` says: what was understood, what was not, and the next three commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roe.cli.draft.fields import Understood
from roe.cli.draft.territories import Carved
from roe.cli.draft.text import POOL, Written
from roe.data.report import cells_in_lines

MOST_NAMES = 6  # of headers or people in one line
MOST_CELLS = 5  # lines about cells
FROM = {"hubspot": "HubSpot", "zoho": "Zoho CRM", "dynamics": "Dynamics 365"}
PLURALS = {"opportunity": "opportunities", "activity": "activities"}


@dataclass(slots=True)
class Report:
    known: Understood
    carved: Carved
    written: Written
    folder: Path

    def lines(self) -> Iterator[str]:
        profile = self.known.profile
        yield f"made {self.folder}: policy.yaml, tables, {self.written.tests} tests, a CI workflow and editor settings"
        from_ = f"an export of {FROM.get(profile, profile.title())}" if profile != "generic" else "an export of no particular CRM"
        what = "its newest record is of" if self.written.dated else "no record has a date, and it was saved on"
        yield f"read as {from_}; {what} {self.written.day}"
        for entity, source in self.known.export.sources.items():
            columns, own = self.known.columns[entity], self.known.own.get(entity, [])
            used = list(dict.fromkeys(columns.values()))
            keys = ", ".join(
                f"{name} from `{columns[c]}`" for c, name in (("id", "id"), (f"owner.{self.known.roles[0]}", "owner")) if c in columns
            )
            rest = f", {len(own)} more as fields of their own" if own else ""
            yield f"  {PLURALS.get(entity, entity + 's'):<13} {source.path.name}: {len(source.rows)} rows; {len(used)} columns understood{rest}{'; ' + keys if keys else ''}"
        own = [f"{entity}.{header}" for entity, headers in self.known.own.items() for header in headers]
        if own:
            yield f"  not understood, kept as text or numbers: {_some(own)}"
        for name, why in self.known.export.unread[:4]:
            yield f"  not read: {name}: {why}"
        if len(self.known.export.unread) > 4:
            yield f"  not read: {len(self.known.export.unread) - 4} more files"
        yield from (f"  {note}" for note in self.known.notes[:4])
        yield from self._aliases()
        yield from self._people()
        yield from self._reading()
        yield self._rejected()
        yield "next:"
        policy = _word(str(self.folder))
        yield f"  roe test {policy}"
        yield f"  roe run {policy} --out out"
        yield f"  roe explain {_word(self.written.example)} {policy}"

    def _aliases(self) -> Iterator[str]:
        found = [(f"{e}.{name}", spec.aliases) for e, specs in self.known.fields.items() for name, spec in specs.items() if spec.aliases]
        for name, aliases in found[:3]:
            shown = ", ".join(f"`{a}` is read as `{b}`" for a, b in list(aliases.items())[:3])
            yield f"  perhaps a slip, see `aliases` of {name}: {shown}" + (f", and {len(aliases) - 3} more" if len(aliases) > 3 else "")

    def _people(self) -> Iterator[str]:
        c = self.carved
        if not c.reps:
            yield "  nobody is known who could own a record: name reps in tables/staffing.csv, or export the users"
        elif c.owned and c.owned < len(self.known.rows(c.entity)):
            yield f"  {c.owned} of {len(self.known.rows(c.entity))} {c.entity}s have an owner and keep it; {len(c.reps)} people can be assigned records"
        elif c.owned:
            yield f"  all {c.owned} {c.entity}s have an owner and keep it; {len(c.reps)} people can be assigned records"
        else:
            yield f"  no {c.entity} has an owner; {len(c.reps)} people can be assigned records"
        if c.strangers:
            yield f"  owners whom the file of reps does not list: {_some(c.strangers)}"
        if c.left:
            yield f"  reps who have left and own records: {_some(c.left)}"
        if c.by:
            share = f", and today's owner in {round(100 * c.agree / c.owned)} % of cases" if c.owned else ""
            rep = (
                ", with the rep who owns most of it" if c.owned else ", with the rep who has most opportunities there" if c.by_deals else ""
            )
            yield f"  territories: one for each of {len(c.territories)} values of {c.by}{rep}{share}"
        if self.written.unowned:
            counts = [
                (
                    n,
                    {"territory": "go to their territory", "the-rest": f"to the pool `{POOL}`" if c.reps else "are open"}.get(
                        r, f"by `{r}`"
                    ),
                )
                for r, n in self.written.rules.items()
            ]
            yield f"  {self.written.unowned} {c.entity}s have no owner: " + ", ".join(f"{n} {what}" for n, what in counts)

    def _reading(self) -> Iterator[str]:
        """What of the cells is not as it stands in the file, as the reading report has it."""
        found = [f"  {Path(read['file']).name}: {line}" for read in self.written.reading.values() for line in cells_in_lines(read)]
        yield from found[:MOST_CELLS]
        if len(found) > MOST_CELLS:
            yield f"  {len(found) - MOST_CELLS} more such lines: roe data {_word(str(self.known.export.folder))} {_word(str(self.folder))}"

    def _rejected(self) -> str:
        if not self.written.rejected:
            return "  every row was read"
        return f"  {self.written.rejected} rows are rejected: " + "; ".join(self.written.reasons)


def _word(text: str) -> str:
    """A word of a command line; one that begins with a dash is not an option."""
    return ("-- " if text.startswith("-") else "") + shlex.quote(text)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(f"`{n}`" for n in names[:MOST_NAMES]) + more
