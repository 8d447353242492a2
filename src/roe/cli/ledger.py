"""`roe ledger`: what the ledger has, whether it is untouched, and how it is copied, filled, thinned out and made to forget."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import PATH, day_given, fail, format_option, writing
from roe.cli.table import table
from roe.diagnostics import Diagnostic, user_error
from roe.dynamic import Json
from roe.source import Span
from roe.words import counted, some, verb

if TYPE_CHECKING:
    from roe.ledger.store import Store


ERRORS = ("error", "sf__error", "message")  # a loader's names for the column with the reason
_STATE = "Ledger of your runs: a folder, or postgresql://… for teams. Or set ROE_STATE. Default: the folder `state`."


state_argument = click.option("--state", envvar="ROE_STATE", default="state", help=_STATE)


@contextmanager
def open_ledger(state: str, create: bool = False) -> Iterator[Store]:
    """The ledger of a `--state`; what is wrong with it ends the command."""
    from roe.ledger.store import open_store

    store = open_store(state, create=create or (Path(state) / "state.json").is_file())
    try:
        yield store
    finally:
        store.close()


@click.group("ledger")
def command() -> None:
    """Look after the ledger: everything that runs decided and noticed."""


@command.command("status")
@state_argument
@format_option("text", "json")
def status(state: str, shape: str) -> None:
    """Show how much the ledger has, since when, and what is open in it."""
    with open_ledger(state) as store:
        from roe.ledger.entries import RunEntry

        head, runs = store.head(), [x.entry for x in store.runs() if isinstance(x.entry, RunEntry)]
        kinds = {
            store.words.text(k): n for k, n in store.db.rows("SELECT kind, count(*) FROM entry GROUP BY kind ORDER BY count(*) DESC, kind")
        }
        is_open = {kind: len(store.latest(kind, is_open=True)) for kind in ("turn", "claimed", "referred")}
        figures: Json = {
            "entries": head.number, "epoch": head.epoch, "hash": head.hash.hex(), "kinds": kinds,
            "runs": len(runs), "open": is_open, "held": sum(h.rep is not None for h in store.holdings()),
            "last_run": None if not runs else {
                "id": runs[-1].id, "as_of": str(runs[-1].at), "policy": runs[-1].policy, "digest": runs[-1].digest,
            },
        }  # fmt: skip
    if shape == "json":
        click.echo(json.dumps(figures, indent=2))
        return
    click.echo(f"{head.number} entries of {len(runs)} runs; the head is {head.hash.hex()[:16] or 'none'}")
    if runs:
        last = figures["last_run"]
        policy = f", by the policy `{last['policy']}`" if last["policy"] else ""
        click.echo(f"from {runs[0].at} to {last['as_of']}: the last run is {last['id']}{policy}")
    click.echo(
        f"{figures['held']} records are held by reps; open: {is_open['turn']} turns, {is_open['claimed']} claims, {is_open['referred']} referrals\n"
    )
    click.echo(table([[k, n] for k, n in kinds.items()], ["kind", "entries"]))


@command.command("verify")
@state_argument
@click.option("--against", type=PATH, help="A run.json, or an --out folder with one: the ledger must contain that run unchanged.")
@click.option("--projections", is_flag=True, help="Also work out who owns what from all entries, and compare.")
def verify(state: str, against: Path | None, projections: bool) -> None:
    """Check that no entry was changed, removed or put in since it was written.

    Somebody who can write to the database could rewrite all of it. So check it against the run.json of a run too, and keep those files elsewhere.
    """
    from roe.ledger import audit

    with open_ledger(state) as store:
        checked = audit.verify(store)
        problems = [] if checked.bad is None else [f"entry {checked.bad} is the first that is not as it was written: {checked.why}"]
        if against is not None:
            said = audit.anchored(store, _anchor(against))
            problems += [f"the ledger does not contain {against}: {said}"] if said else []
        if projections and not problems and not store.rebuild():
            problems.append("who owns what was not what the entries say; it has been made again from them")
        if problems:
            fail([Diagnostic("R644", p, Span(store.url, 1, 1, 2), "restore the last backup that verifies") for p in problems], code=1)
        erased = f", {checked.erased} of them erased" if checked.erased else ""
        click.echo(f"verified: {checked.entries} entries in one unbroken chain{erased}; the head is {store.head().hash.hex()[:16]}")


def _anchor(path: Path) -> Json:
    place = path / "run.json" if path.is_dir() else path
    try:
        said = json.loads(place.read_text("utf-8"))
        ledger = said["ledger"]
        if not isinstance(ledger, dict):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError):
        help = "name the run.json of a `roe run --state`"
        raise user_error("R801", "this is not the run.json of a run with a ledger", place, help) from None
    return dict(ledger)


@command.command("export")
@state_argument
@click.option("--out", type=PATH, required=True, help="Folder to write entries, holdings and runs to.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True, help="File format.")
@click.option("--values", is_flag=True, help="Also write sentences and other values that `roe ledger forget` can erase.")
def export(state: str, out: Path, form: str, values: bool) -> None:
    """Write all entries, and who held what from when to when, as tables."""
    from roe.ledger.export import write

    with open_ledger(state) as store:
        try:
            with writing(out):
                written = write(store, out, form, values)
        except ImportError:
            raise user_error("R406", "Parquet needs the package pyarrow", "--format", "pip install 'roe-policy[parquet]'") from None
    click.echo(f"wrote {', '.join(f'{n} {what}' for what, n in written.items())} to {out}")
    if values:
        click.echo("note: these files have values that `roe ledger forget` cannot reach any more", err=True)


@command.command("import")
@click.argument("source", type=PATH)
@state_argument
@click.option(
    "--role", default="", help="The role that owner changes in the file are about. The default is the first role of the policy, or `owner`."
)
@click.option("--policy", type=PATH, help="The policy, for its roles and time zone.")
@click.option("--timezone", "zone", default="", help="The time zone of times without one. The default is the policy's, or UTC.")
@click.option("--reps", type=PATH, help="A table with the columns id and name, for exports that name owners.")
def import_(source: Path, state: str, role: str, policy: Path | None, zone: str, reps: Path | None) -> None:
    """Take over the history in SOURCE: what your CRM exports, or the --out folder of an earlier run.

    Salesforce: AccountHistory, LeadHistory, OpportunityFieldHistory and ContactHistory as CSV. HubSpot: property history as CSV or JSON.
    Importing the same file again adds nothing. What was decided since is not changed.
    """
    from roe.ledger.imports import read_source, take_in

    if policy is not None or not role:
        from roe.cli.settings import policy_folder

        if policy_folder(policy) is not None:
            from roe.cli.common import load

            loaded = load(policy).policy
            role, zone = role or str(loaded.roles[0]), zone or str(loaded.timezone)
    with open_ledger(state, create=True) as store:
        imported = read_source(source, role or "owner", zone or "UTC", reps)
        for line in imported.notes:
            click.echo(f"note: {line}", err=True)
        added = take_in(store, source.name, imported.entries)
    known = len(imported.entries) - added
    click.echo(f"{added} entries from {imported.what}" + (f"; {known} were in the ledger already" if known else ""))


@command.command("prune")
@state_argument
@click.option("--evidence", required=True, metavar="AGE", help="Erase evidence older than this, such as `24 months` or `90 days`.")
@click.option("--as-of", "as_of", metavar="DAY", help="The day that ages are counted from. The default is the day of the last run.")
@click.option("--by", default="", help="Who asks for it.")
def prune(state: str, evidence: str, as_of: str | None, by: str) -> None:
    """Erase old evidence. Owners, rules and sentences stay, and so does the newest evidence of each record."""
    from roe.ledger.erase import prune as prune_evidence
    from roe.ledger.moment import At

    with open_ledger(state) as store:
        last = store.last_run()
        today = day_given(as_of, "--as-of") if as_of is not None else last.entry.at.date if last is not None else date.today()
        zone = last.entry.at.zone if last is not None else "UTC"
        before = _ago(today, evidence)
        gone = prune_evidence(store, At.of(before, zone), by)
    click.echo(f"{gone} pieces of evidence from before {before} are erased; the chain still verifies")


def _ago(today: date, age: str) -> date:
    from roe.grammar.values import add_months

    number, _, unit = age.strip().partition(" ")
    unit = unit.strip().rstrip("s")
    if not number.isdigit() or int(number) > 12_000 or unit not in ("day", "week", "month", "year"):
        raise user_error("R801", f"`{age}` is not an age", "--evidence", "write `24 months`, `2 years` or `90 days`", age)
    n = int(number)
    try:
        if unit in ("day", "week"):
            return today - timedelta(days=n * (7 if unit == "week" else 1))
        earlier: date = add_months(today, -n * (12 if unit == "year" else 1))
    except (OverflowError, ValueError):
        raise user_error("R801", f"`{age}` ago is before the calendar begins", "--evidence", "write a shorter age", age) from None
    return earlier


@command.command("forget")
@click.argument("subject")
@state_argument
@click.option("--entity", default="", help="Only the subject of this entity, such as rep, lead or account.")
@click.option(
    "--also",
    multiple=True,
    metavar="TEXT",
    help="A name or an e-mail address of the subject: values with it are erased, too. Can be repeated.",
)
@click.option("--by", required=True, help="Who asks for it. The ledger keeps it.")
@click.option("--why", default="", help="The reason. The ledger keeps it.")
@click.option(
    "--list",
    "list_file",
    type=PATH,
    help="Where the list of forgotten subjects is kept. The default is forgotten.jsonl in the state folder, or in the current one for a database.",
)
@click.option("--yes", is_flag=True, help="Do not ask first.")
def forget(subject: str, state: str, entity: str, also: tuple[str, ...], by: str, why: str, list_file: Path | None, yes: bool) -> None:
    """Erase what the ledger has about SUBJECT, the id of a record or a rep. This cannot be taken back.

    The entries stay as a skeleton (a time, a kind, a rule), and the chain still verifies. What roe cannot reach is listed.
    """
    from roe.crm.ids import fold
    from roe.ledger.erase import LIST, is_known
    from roe.ledger.erase import forget as forget_subject

    with open_ledger(state) as store:
        key = fold(subject)
        if not is_known(store, key):
            raise user_error(
                "R604",
                f"the ledger has nothing about `{subject}`",
                "SUBJECT",
                "name a record or a rep by its id, as the CRM has it",
                subject,
            )
        if not yes and not click.confirm(f"Erase everything about `{subject}` from {store.url}? This cannot be taken back."):
            sys.exit(1)
        place = list_file or (Path(state) / LIST if store.db.dialect == "sqlite" else Path(LIST))
        erased = forget_subject(store, key, entity=entity, also=also, by=by, why=why, list_file=place)
    click.echo(
        f"forgotten: {erased.values} values of {erased.subjects} subject{'' if erased.subjects == 1 else 's'}; the list is {place}\n\nroe cannot reach:"
    )
    for line in erased.unreachable:
        click.echo(f"- {line}")


@command.command("give-back")
@click.argument("record")
@state_argument
@click.option("--role", default="", help="Role of the turn, if the record used turns in several roles.")
@click.option("--reason", required=True, help="Why, such as a no-show or junk. The ledger keeps it.")
@click.option("--by", required=True, help="Who asks for it. The ledger keeps it.")
def give_back(record: str, state: str, role: str, reason: str, by: str) -> None:
    """Give the turn that RECORD used back to its rep. The next run applies it."""
    from roe.run.adjust import give_back as asked

    with open_ledger(state):
        pass
    turn = asked(record, state, reason, by, role)
    click.echo(f"the turn of {turn.rep} in the pool `{turn.pool}` is given back; the next run applies it")


@command.command("correct")
@click.argument("entry", type=click.IntRange(1))
@state_argument
@click.option("--owner", help="Id of the right owner.")
@click.option("--nobody", is_flag=True, help="Nobody is the right owner.")
@click.option("--by", required=True, help="Who corrects it. The ledger keeps it.")
@click.option("--why", required=True, help="The reason. The ledger keeps it.")
def correct(entry: int, state: str, owner: str | None, nobody: bool, by: str, why: str) -> None:
    """Correct the owner whom ENTRY names, by its number in `roe history RECORD --format csv`.

    The new owner counts from the day of that entry up to the next owner that is known. The wrong entry stays, and the history shows both.
    If the entry is about today's owner, the next run uses the corrected owner and writes the change for the CRM.
    """
    from roe.crm.ids import fold
    from roe.run.adjust import Correction
    from roe.run.adjust import correct as corrected

    if (owner is None) != nobody:
        raise user_error("R801", "name the right owner", "--owner", "add --owner REP, or --nobody")
    with open_ledger(state):
        pass
    right = corrected(Correction(entry, None if owner is None else fold(owner), by, why), state)
    click.echo(
        f"{right.rep or 'nobody'} has {right.entity} {right.record} as {right.role} from {right.at} on; entry {entry} stays, as corrected"
    )


@command.command("refused")
@click.argument("file", type=PATH)
@state_argument
@click.option("--error", default="", help="The column with the CRM's reason. The default is ERROR, sf__Error, error or message.")
@click.option("--by", default="the loader", show_default=True, help="Who loaded the changes. The ledger keeps it.")
def refused(file: Path, state: str, error: str, by: str) -> None:
    """Note that the CRM has refused rows of changes.csv: FILE has them, with a column for the reason.

    The history shows it. The decisions stay, and every run writes them to changes.csv again until the CRM has them.
    """
    from roe.run.adjust import note_refused

    with open_ledger(state):
        pass
    rows = _refused_rows(file, error)
    noted, unknown = note_refused(rows, state, by)
    click.echo(f"{counted(noted, 'refused load')} noted")
    if unknown:
        n = len(unknown)
        click.echo(f"{counted(n, 'record')} {verb(n, 'has', 'have')} no decision that waits to be loaded: {some(unknown, 5)}")


def _refused_rows(file: Path, error: str) -> list[tuple[str, str]]:
    """(record, reason) of each row that a loader gives back."""
    import csv

    from roe.crm.ids import fold

    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened)
            columns = {str(name).casefold(): str(name) for name in reader.fieldnames or ()}
            record = columns.get("record") or columns.get("id") or columns.get("sf__id")
            reason = columns.get(error.casefold()) if error else next((columns[n] for n in ERRORS if n in columns), None)
            if record is None or reason is None:
                lacking = "records (`record` or `Id`)" if record is None else f"reasons (`{error or 'ERROR'}`)"
                raise user_error(
                    "R604", f"the file has no column of {lacking}", file, "give the file of rows that the loader could not load"
                )
            return [(fold(row[record].strip()), (row[reason] or "").strip()) for row in reader if row[record]]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise user_error("R631", f"the file cannot be read: {e}", file, "name the file of rows that the loader could not load") from e


@command.command("backup")
@click.argument("folder", type=PATH)
@state_argument
@click.option("--keep", type=click.IntRange(1, 3650), default=30, show_default=True, help="Days after which earlier backups in FOLDER go.")
def backup(folder: Path, state: str, keep: int) -> None:
    """Copy the ledger into FOLDER, as a ledger of its own in a folder named by the time."""
    from roe.ledger.backup import backup as copy

    with open_ledger(state) as store:
        with writing(folder):
            place = copy(store, folder, keep=keep)
        click.echo(f"copied {store.head().number} entries to {place}")


@command.command("restore")
@click.argument("folder", type=PATH)
@state_argument
def restore(folder: Path, state: str) -> None:
    """Copy the backup in FOLDER to an empty ledger. What was forgotten since is forgotten again."""
    from roe.ledger.backup import restore as copy

    with open_ledger(state, create=True) as store:
        copy(folder, store)
        number = store.head().number
    with open_ledger(state):  # which applies the list of forgotten subjects
        pass
    click.echo(f"restored {number} entries to {state}, as a new epoch; the next run compares them with the CRM before it decides")
