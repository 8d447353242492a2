"""`roe explain`: who owns a record, why, until when, and why not somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from roe.cli.common import PATH, WithMinus, bind, clock, color, fail, format_option, large, load, policy_argument, put_json, state_option
from roe.cli.lean import before_arrow, without_pandas
from roe.cli.settings import as_of_setting, data_setting
from roe.cli.table import table
from roe.diagnostics import Diagnostic, suggest, user_error
from roe.dynamic import Json, Value
from roe.node import node

if TYPE_CHECKING:
    from roe.analysis.whynot import WhyNot
    from roe.cli.one import RecordQuestion
    from roe.evaluator.bound import Bound
    from roe.evaluator.decision import Decision
    from roe.evaluator.row import Row
    from roe.evaluator.trace import Trace
    from roe.evaluator.world import World
    from roe.policy.model import Policy


@click.command("explain", cls=WithMinus)
@click.argument("record")
@policy_argument
@data_setting("Folder with the records. Not needed with --on, or a --run that kept its traces.", without="run_folder")
@as_of_setting("The date or date-time to use as `today` and `now`. Not needed with --run, which keeps its own.", without="run_folder")
@click.option(
    "--on", "day", metavar="DAY", help="Explain the decision of this day from the ledger (--state) alone, by the policy of that day."
)
@state_option
@click.option("--role", help="Explain only this role, such as ae or sdr.")
@click.option(
    "--field", "field", metavar="NAME", help="Explain one value instead, such as tier or account.tier, a source, a credit or an event."
)
@click.option("--why-not", "why_not_rep", metavar="REP", help="Explain why this rep does not own it, and what would give it to them.")
@click.option(
    "--run", "run_folder", type=PATH, help="The --out folder of a run: explain its pool turns, or all of it if the run kept traces."
)
@format_option("text", "json", "md")
def command(
    record: str, policy: Path | None, data: Path | None, as_of: str | None, day: str | None, state: str | None, role: str | None, field: str | None,
    why_not_rep: str | None, run_folder: Path | None, shape: str,
) -> None:  # fmt: skip
    """Explain who owns RECORD (an id, a name or a domain), and why.

    RECORD can also be a claim, a dispute, or anything else that a run writes credits or events for.
    """
    _apart("--field", field, ("--role", role), ("--why-not", why_not_rep))
    _apart("--on", day, ("--why-not", why_not_rep), ("--field", field), ("--run", run_folder))
    if day is not None:
        from roe.cli.history import explain_on

        click.echo(explain_on(record, state or "state", day, role or "", shape))
        return
    before_arrow()
    world = None
    if run_folder is not None:
        run_folder = _is_whole(run_folder)
    if data is None and run_folder is not None:
        if field is not None or why_not_rep is not None:
            raise user_error(
                "R801",
                "this is worked out from the records, which a run does not keep",
                "--field" if field is not None else "--why-not",
                "add --data and --as-of",
            )
        explained = [Explained(d.trace) for d in _from_run(run_folder, record, role)]
    else:
        world, explained = _from_data(policy, data, as_of, state, run_folder, record, role, field, why_not_rep)
    if shape == "json":
        from roe.crm.ids import spelt

        spelling = world.spelling() if world is not None else {}
        shown = [spelt(x.as_json(), spelling) for x in explained]
        put_json(shown[0] if len(shown) == 1 else shown)
        return
    click.echo("\n\n".join(x.as_text(shape == "md") for x in explained), color=color())


def _apart(option: str, given: object, *others: tuple[str, object]) -> None:
    """End the command where an option is given with one that it does not go together with."""
    for other, is_given in others:
        if given is not None and is_given is not None:
            raise user_error("R801", f"`{option}` cannot be used with `{other}`", other, "leave one of the two out")


def _is_whole(folder: Path) -> Path:
    """Where a run's files are; a folder with the files of two runs explains neither."""
    from roe.run.folder import MARK, STAGED, files_of

    if (folder / STAGED).is_dir() and not (folder / MARK).is_file():
        help = "repeat the `roe run` with this --out folder: it finishes that run first"
        raise user_error("R608", "a run was interrupted while its files were put in place here", folder, help)
    return files_of(folder)


@node(frozen=False)
class Explained:
    """A trace to print, and beside a decision's what would give the record to somebody else."""

    trace: Trace
    decision: Decision | None = None
    why_not: WhyNot | None = None

    def as_json(self) -> Json:
        more = {"why_not": self.why_not.as_json()} if self.why_not is not None else {}
        return {**self.trace.as_json(), **more}

    def as_text(self, markdown: bool) -> str:
        from roe.evaluator.render import as_markdown, as_text

        text = as_markdown(self.trace) if markdown else as_text(self.trace, color())
        if self.why_not is None:
            return text
        from roe.analysis.whynot import as_text as words

        assert self.decision is not None

        sentence, _, rest = text.partition("\n\n")  # who owns it comes first, whatever was asked
        return "\n\n".join((sentence, words(self.why_not, self.decision, markdown), rest))


def _from_data(
    policy: Path | None, data: Path | None, as_of: str | None, state: str | None, run_folder: Path | None, record: str, role: str | None,
    field: str | None, why_not_rep: str | None,
) -> tuple[World, list[Explained]]:  # fmt: skip
    """The world that a record was explained in, and the explanations."""
    for option, given in (("--data", data), ("--as-of", as_of)):
        if given is None:
            raise user_error("R801", f"`{option}` is missing", option, "add it, or name the --run of a `roe run --trace --engine columns`")
    assert data is not None and as_of is not None
    evaluator = load(policy)
    if data.exists() and large(data):
        from roe.cli.one import RecordQuestion

        alone = _alone(RecordQuestion(evaluator, data, clock(evaluator, as_of), state, record, run_folder), role, field, why_not_rep)
        if alone is not None:
            return alone
    bound = bind(evaluator, data, as_of, state)
    if run_folder is not None:
        from roe.columns.turn_reading import read_turns

        bound.turns = read_turns(run_folder)
    explained = _explained(bound, record, role, field)
    if why_not_rep is not None:
        _why_not(bound, explained, _rep(bound.world, why_not_rep))
    return bound.world, explained


def _alone(asked: RecordQuestion, role: str | None, field: str | None, why_not_rep: str | None) -> tuple[World, list[Explained]] | None:
    """The same for one record of large data; None where all of them are needed."""
    from roe.cli import one

    if why_not_rep is not None:
        return _why_not_alone(asked, role, why_not_rep)
    if field is None:
        decisions = one.decided(asked, role)
        return (decisions[0].row.world, [Explained(d.trace, d) for d in decisions]) if decisions else None
    model = asked.evaluator.policy.model.entities
    entity, _, name = field.partition(".") if field.partition(".")[0] in model else ("", "", field)
    taken_out = one.taken_out_for_value(asked, name or field)
    if taken_out is None or entity not in ("", taken_out[1].entity):
        return None
    bound, row = taken_out
    return bound.world, [Explained(x) for x in _values(bound, row, name)]


def _why_not_alone(asked: RecordQuestion, role: str | None, rep: str) -> tuple[World, list[Explained]] | None:
    """The decisions on one record of large data, and what would give it to a rep; None, with a word, where all records are needed."""
    from roe.cli import one
    from roe.data.lookup import CannotLookUp

    try:
        bound, decisions = one.decided_alone(asked, role)
    except CannotLookUp as e:
        one.all_instead(e)
        return None
    explained = [Explained(d.trace, d) for d in decisions]
    _why_not(bound, explained, _rep(bound.world, rep))
    return bound.world, explained


def _explained(bound: Bound, text: str, role: str | None, field: str | None) -> list[Explained]:
    """Who owns a record in each role; or what a run writes of it besides; or one value of it."""
    from roe.analysis import written

    allocated = [entity for entity, _ in bound.plan.engagement]
    if field is not None:
        known = bound.policy.model.entities
        entity, _, name = field.partition(".") if field.partition(".")[0] in known else ("", "", field)
        row = find_record(bound, text, [entity] if entity and name else [*allocated, *known])
        return [Explained(x) for x in _values(bound, row, name or field)]
    row = find_record(bound, text, [*allocated, *written.entities(bound.plan)])
    if row.entity in allocated:
        decisions = decide_among(bound, row, roles_asked(bound.roles(row.entity), row.entity, role))
        return [Explained(d.trace, d) for d in decisions]
    explained = [Explained(x) for x in written.about(bound, row)]
    if not explained:
        raise user_error(
            "R604", f"a run writes nothing about the {row.entity} `{row['id']}`", "RECORD", "name a value of it with --field", text
        )
    return explained


def _values(bound: Bound, row: Row, name: str) -> list[Value]:
    """The explanations of one field: of a credit or an event as a run writes it, of anything else its value."""
    from roe.analysis import written

    field, path = written.root_of(row, name)
    values = written.about(bound, row, name) if name in written.lines_of(bound.plan, row.entity) else []
    if values:
        return values
    if field not in row:
        known = [*bound.policy.model.field_names(row.entity), *(bound.policy.model.entities if path else ())]
        help = suggest(field, known, "name a field or a definition")
        if field in written.lines_of(bound.plan, row.entity):
            why = f"today `{field}` gives nobody a share of the {row.entity} `{row['id']}`"
            raise user_error("R604", why, "--field", "credits.csv lists the records that have shares", field)
        if path:
            raise user_error("R504", f"there is no entity `{field}`, and `{row.entity}` has no such field", "--field", help, field)
        raise user_error("R202", f"`{row.entity}` has no field `{field}`", "--field", help, field)
    if path:
        problems = _wrong_path(bound.policy, row.entity, name)
        if problems:
            fail(problems)
    return [written.value_of(bound, row, name)]


def _wrong_path(policy: Policy, entity: str, name: str) -> list[Diagnostic]:
    """What is wrong with a path such as `owner.ae` from a record on."""
    from roe.grammar.check import check
    from roe.grammar.parser import parse
    from roe.policy.reads import names_of
    from roe.source import Inline, Text

    text = Text(f"{entity}.{name}", Inline("--field"))
    tree, problems = parse(text)
    return problems if tree is None else check(tree, text, names_of(policy, entity))[1]


def roles_asked(known: list[str], entity: str, role: str | None) -> list[str]:
    if role is None:
        return known
    if role not in known:
        help = suggest(role, known, "the roles are " + ", ".join(f"`{r}`" for r in known))
        raise user_error("R502", f"a {entity} has no role `{role}` in this policy", "--role", help, role)
    return [role]


def _from_run(folder: Path, record: str, role: str | None) -> list[Value]:
    """Decisions of a run that kept what it saw, made again from that alone."""
    from roe.cache import load_policy

    try:
        without_pandas()
        from roe.columns.evidence import RunEvidence
    except ImportError:
        raise user_error(
            "R406", "reading a run's traces needs the packages numpy and pyarrow", folder, "pip install 'roe-policy[batch]'"
        ) from None
    try:
        evidence = RunEvidence(folder, partial(load_policy, known_as=f"run {folder.resolve()}"))
        records = evidence.find(record)
        if not records:
            raise user_error("R604", f"no record in the run matches `{record}`", "RECORD", "name it by id, name or domain", record)
        if len(records) > 1:
            ids = ", ".join(f"{e} {i}" for e, i in records[:8])
            raise user_error("R605", f"{len(records)} records match `{record}`: {ids}", "RECORD", "name the one you mean by its id", record)
        entity, key = records[0]
        return [evidence.decision(entity, key, r) for r in roles_asked(evidence.roles(entity), entity, role)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as e:
        raise user_error(
            "R608", f"the run's traces cannot be read: {e}", folder, "name the --out folder of a `roe run --trace --engine columns`"
        ) from e


def decide_among(bound: Bound, row: Row, roles: list[str]) -> list[Decision]:
    """The decisions on one record: alone where nothing before it matters, else by replaying the run up to it."""
    if row.entity == "account" and not bound.plan.takes_turns("account"):
        return [bound.decide(row, role) for role in roles]
    decisions = []
    for d in bound.decide_all():
        if d.row is row and d.role in roles:
            decisions.append(d)
            if len(decisions) == len(roles):
                break
    return decisions


def find_record(bound: Bound, text: str, among: Iterable[str] | None = None) -> Row:
    """The one record that answers to a text; several are listed, with the way to name each. Without `among`, one that is allocated."""
    entities = list(dict.fromkeys(among if among is not None else (entity for entity, _ in bound.plan.engagement)))
    rows = [row for entity in entities for row in bound.world.search(entity, text)]
    rows = rows or [row for entity in entities for row in bound.world.search(entity, text, partly=True)]
    exact = [row for row in rows if row["id"] == text]
    rows = exact if len(exact) == 1 else rows
    if not rows:
        _no_record(bound, text, entities)
    if len(rows) > 1:
        lines = [[row.entity, row["id"], row.label, row["domain"] or row["email"] or "", row["country"] or ""] for row in rows[:20]]
        click.echo(table(lines, ["entity", "id", "name", "domain or e-mail", "country"]), err=True)
        raise user_error("R605", f"{len(rows)} records match `{text}`", "RECORD", "name the one you mean by its id", text)
    return rows[0]


def _no_record(bound: Bound, text: str, entities: list[str]) -> NoReturn:
    """Say that no record answers to a text: it was rejected, or it may be misspelt."""
    rejected = next((r for r in bound.world.rejects if text.lower() in (r.record.lower(), r.value.lower())), None)
    if rejected is not None:
        said = f"the {rejected.entity} `{rejected.record}` was rejected: {rejected.reason}"
        raise user_error("R602", said, "RECORD", f"correct `{rejected.field}` in line {rejected.line} of its file", text)
    known = [str(x) for entity in entities for name in ("id", "name") for x in bound.world.values(entity, name)[:5000] if x]
    raise user_error(
        "R604", f"no record matches `{text}`", "RECORD", suggest(text, known, f"name it by id, name or domain{_unread(bound)}"), text
    )


def _unread(bound: Bound) -> str:
    """That a record may be among those that cannot be read."""
    count = len(bound.world.rejects)
    return (
        f"; {count:,} rejected record{'s are' if count != 1 else ' is'} not searched by name (`roe data` lists what cannot be read)"
        if count
        else ""
    )


def _rep(world: World, text: str) -> Row:
    rep = world.find("rep", text) or world.unlisted_rep(text)
    if rep is None:
        known = [str(x) for row in world.rows["rep"] for x in (row["id"], row.label)]
        raise user_error("R604", f"there is no rep `{text}`", "--why-not", suggest(text, known, "name the rep by id, name or e-mail"), text)
    return rep


def _why_not(bound: Bound, explained: list[Explained], rep: Row) -> None:
    from roe.analysis.whynot import why_not

    for x in explained:
        if x.decision is None:
            raise user_error("R801", "`--why-not` is about who owns a record", "--why-not", "name a record that the policy allocates")
        x.why_not = why_not(bound, x.decision, rep)
