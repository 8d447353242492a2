"""What `roe init --from` says: what was understood, what was not, and the next commands."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roe.cli.draft.fields import Understood
from roe.cli.draft.territories import Carved
from roe.cli.draft.text import POOL, Written
from roe.data.report import cells_in_lines
from roe.words import counted, plural, verb

MOST_NAMES = 6  # of headers or people in one line
MOST_CELLS = 5  # lines about cells


@dataclass(slots=True)
class DraftReport:
    known: Understood
    carved: Carved
    written: Written
    folder: Path

    def lines(self) -> Iterator[str]:
        profile = self.known.export.profile
        yield f"made {self.folder}: policy.yaml, tables, {counted(self.written.tests, 'test')}, a CI workflow and editor settings"
        from_ = f"an export of {profile.shown}" if profile.name != "generic" else "an export of no particular CRM"
        what = "its newest record is of" if self.written.dated else "no record has a date, and it was saved on"
        yield f"read as {from_}; {what} {self.written.day}"
        for entity, source in self.known.export.sources.items():
            columns, own = self.known.columns[entity], self.known.own.get(entity, [])
            used = list(dict.fromkeys(columns.values()))
            keys = ", ".join(
                f"{name} from `{columns[c]}`" for c, name in (("id", "id"), (f"owner.{self.known.roles[0]}", "owner")) if c in columns
            )
            rest = f", {len(own)} more {verb(len(own), 'becomes a field of its own', 'become fields of their own')}" if own else ""
            other = f" ({source.profile.shown})" if source.profile.name != profile.name else ""
            yield f"  {plural(entity):<13} {source.path.name}{other}: {counted(len(source.rows), 'row')}; {counted(len(used), 'column')} understood{rest}{'; ' + keys if keys else ''}"
        own = [f"{entity}.{header}" for entity, headers in self.known.own.items() for header in headers]
        if own:
            yield f"  not a standard field, kept as {verb(len(own), 'a field of its own', 'fields of their own')}: {_some(own)}"
        for name, why in self.known.export.unread[:4]:
            yield f"  not read: {name}: {why}"
        if len(self.known.export.unread) > 4:
            yield f"  not read: {len(self.known.export.unread) - 4} more"
        yield from (f"  {note}" for note in self.known.notes[:4])
        yield from self._aliases()
        yield from self._people()
        yield from self._reading()
        yield self._rejected()
        yield "next:"
        policy = _word(str(self.folder))
        yield f"  roe check {policy}"
        yield f"  roe test {policy}"
        yield f"  roe run {policy} --state state --out out"
        yield f"  roe explain {_word(self.written.example)} {policy}"

    def _aliases(self) -> Iterator[str]:
        declared = [(f"{e}.{name}", spec.aliases) for e, specs in self.known.fields.items() for name, spec in specs.items() if spec.aliases]
        for name, aliases in declared[:3]:
            shown = ", ".join(f"`{a}` is read as `{b}`" for a, b in list(aliases.items())[:3])
            yield f"  perhaps a typo, see `aliases` of {name}: {shown}" + (f", and {len(aliases) - 3} more" if len(aliases) > 3 else "")

    def _people(self) -> Iterator[str]:
        c = self.carved
        total, entities = len(self.known.rows(c.entity)), plural(c.entity)
        people = f"{counted(len(c.reps), 'person')} can be assigned records"
        if not c.reps:
            yield "  the export names nobody who could own a record: name reps in tables/staffing.csv, or export the users"
        elif c.owned and c.owned < total:
            yield f"  {c.owned:,} of {total:,} {entities} {verb(c.owned, 'has an owner and keeps', 'have an owner and keep')} it; {people}"
        elif c.owned:
            yield f"  {'the only ' + c.entity + ' has an owner and keeps' if total == 1 else f'all {total:,} {entities} have an owner and keep'} it; {people}"
        else:
            yield f"  no {c.entity} has an owner; {people}"
        if c.strangers:
            yield f"  owners who are not in the file of reps: {_some(c.strangers)}"
        if c.twice:
            shown = ", ".join(f"`{mail}` and `{name}`" for mail, name in c.twice[:3]) + (
                f", and {len(c.twice) - 3} more" if len(c.twice) > 3 else ""
            )
            yield f"  perhaps one person under two names: {shown}; export the users with name and e-mail address, so that they count once"
        if c.left:
            yield f"  reps who have left and own records: {_some(c.left)}"
        if c.by:
            share = f"; that is today's owner in {round(100 * c.agree / c.owned)} % of cases" if c.owned else ""
            rep = (
                ", with the rep who owns most of it" if c.owned else ", with the rep who has most opportunities there" if c.by_deals else ""
            )
            yield f"  territories: one for each value of {c.by}, {len(c.territories)} in total{rep}{share}"
        if self.written.unowned:
            yield f"  {counted(self.written.unowned, c.entity)} {verb(self.written.unowned, 'has', 'have')} no owner{', or one who has left' if c.left else ''}: {', '.join(self._placed())}"

    def _placed(self) -> Iterator[str]:
        """Where the records without an owner go: one phrase for each rule that places some."""
        for rule, n in self.written.rules.items():
            if rule == "territory":
                yield f"{n:,} {verb(n, 'goes to its', 'go to their')} territory"
            elif rule != "the-rest":
                yield f"{n:,} {verb(n, 'is', 'are')} decided by `{rule}`"
            elif self.carved.reps:
                yield f"{n:,} {verb(n, 'goes', 'go')} to the pool `{POOL}`"
            else:
                yield f"{n:,} {verb(n, 'is', 'are')} open"

    def _reading(self) -> Iterator[str]:
        """What of the cells is not as it stands in the file, as the reading report has it."""
        lines = [f"  {Path(read['file']).name}: {line}" for read in self.written.reading.values() for line in cells_in_lines(read)]
        yield from lines[:MOST_CELLS]
        if len(lines) > MOST_CELLS:
            yield f"  {len(lines) - MOST_CELLS} more such lines: roe data {_word(str(self.known.export.folder))} {_word(str(self.folder))}"

    def _rejected(self) -> str:
        if not self.written.rejected:
            return "  every row was read"
        n = self.written.rejected
        more = f"; and {n - len(self.written.reasons)} more" if n > len(self.written.reasons) else ""
        return f"  {counted(n, 'row')} {verb(n, 'is', 'are')} rejected: {'; '.join(self.written.reasons)}{more}"


def _word(text: str) -> str:
    """A word of a command line; one that begins with a dash is not an option."""
    return ("-- " if text.startswith("-") else "") + shlex.quote(text)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(f"`{n}`" for n in names[:MOST_NAMES]) + more
