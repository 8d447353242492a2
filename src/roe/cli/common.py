"""What commands share: finding and loading the policy, reading data, printing findings."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from roe.cli.settings import Command, as_of_setting, data_setting, policy_folder
from roe.cli.terminal import document
from roe.diagnostics import Diagnostic, PolicyError, as_text, errors, suggest, user_error

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound
    from roe.evaluator.engine import Evaluator, Tables
    from roe.evaluator.world import World
    from roe.ledger.remembered import Remembered
    from roe.policy.model import Policy


PATH = click.Path(path_type=Path)
policy_argument = click.argument("policy", required=False, type=PATH)
data_option = data_setting("Folder with the records: accounts.csv, leads.csv, reps.csv and so on.", required=True)
as_of_option = as_of_setting("The date or date-time to use as `today` and `now`, such as 2026-02-01.", required=True)
STATE = "Ledger with what earlier runs decided: a folder, or postgresql://… for teams. Or set ROE_STATE."
wait_option = click.option(
    "--wait", type=click.FloatRange(0), default=60, show_default=True, metavar="SECONDS", help="How long to wait for another run to end."
)
state_option = click.option("--state", envvar="ROE_STATE", help=STATE)
service_state = click.option(
    "--state",
    default="roe-state",
    show_default=True,
    envvar="ROE_STATE",
    help="Ledger of the service: a folder, or postgresql://… for several servers. Or set ROE_STATE.",
)


def format_option(*shapes: str, help: str = "Output format.") -> Callable[[Command], Command]:
    """`--format`, as the parameter `shape`; the first is the default."""
    return click.option("--format", "shape", type=click.Choice(shapes), default=shapes[0], show_default=True, help=help)


class WithMinus(click.Command):
    """A command whose argument may begin with a minus, such as `-2 ** 2`: what looks like no option's name is the argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        valued = {name for p in self.params if isinstance(p, click.Option) and not p.is_flag for name in (*p.opts, *p.secondary_opts)}
        given = [
            i for i, x in enumerate(args)
            if len(x) > 1 and x.startswith("-") and not OPTION.fullmatch(x) and (i == 0 or args[i - 1] not in valued)
        ]  # fmt: skip
        if given and "--" not in args:
            args = [*(x for i, x in enumerate(args) if i not in given), "--", *(args[i] for i in given)]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as e:
            raise click.UsageError(f"{e.format_message()} If it is not an option, write `--` before it.", ctx) from None


OPTION = re.compile(r"--?[A-Za-z][\w-]*(=.*)?|--", re.DOTALL)  # what can be the name of an option, with its value or without


def needs(what: str, place: str, extra: str, *packages: str) -> None:
    """End the command if a package is not installed; `what` says who needs it, and `extra` brings it."""
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise user_error("R406", f"{what} the package {missing[0]}", place, f"pip install 'roe-policy[{extra}]'")


def needs_service() -> None:
    needs("the service needs", "roe serve", "serve", "starlette", "uvicorn", "standardwebhooks", "defusedxml", "prometheus_client")


def color(stream: TextIO | None = None) -> bool:
    import os

    return bool((stream or sys.stdout).isatty()) and "NO_COLOR" not in os.environ


def fail(findings: Iterable[Diagnostic], code: int = 2) -> NoReturn:
    """Findings to standard error, and the end."""
    click.echo(as_text(list(findings), color(sys.stderr)), err=True, color=color(sys.stderr))
    sys.exit(code)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Write files to `out`; where that fails it ends the command."""
    try:
        yield
    except OSError as e:
        raise user_error("R801", f"cannot write: {e.strerror or e}", out, "name a place that you may write to") from e


def write_into(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts by file name into a folder, which is made if it is not there."""
    from roe.data.files import write_whole

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(folder / name, text)


def put(text: str, out: Path | None, said: bool = True) -> None:
    """A text to a file, or to standard output."""
    from roe.data.files import write_whole

    if out is None:
        document(text)
        return
    with writing(out):
        write_whole(out, text)
    if said:
        click.echo(f"wrote {out}")


def put_json(content: object) -> None:
    """An answer as JSON, to standard output."""
    click.echo(json.dumps(content, indent=2, ensure_ascii=False))


def named(policy: Policy, known: Mapping[str, object], only: Iterable[str], what: str, key: str) -> None:
    """End the command where the policy has none of something, or not one that is asked for by name."""
    unknown = [name for name in only if name not in known]
    if unknown or not known:
        help = suggest(unknown[0], known, f"there are {', '.join(known)}") if unknown and known else f"add `{key}:` to the policy"
        raise user_error("R501", f"there is no {what} `{unknown[0]}`" if unknown else f"the policy has no {key}", policy.root, help)


def find_policy(given: Path | None) -> Path:
    """The folder that is given, or the nearest one at or above the current folder with a policy.yaml."""
    root, help = policy_folder(given), "name the folder of a policy, or make one: roe init DIR"
    if root is None:
        raise user_error("R307", "no policy.yaml here or in a folder above", Path.cwd(), help)
    if not (root / "policy.yaml").is_file():
        raise user_error("R307", f"there is no policy.yaml in `{given}`", given, help)
    return root


def day_given(text: str, option: str) -> date:
    """The day that an option gives."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise user_error("R801", f"`{text}` is not a date", option, "write 2026-03-17", text) from None


def load(given: Path | None) -> Evaluator:
    """The evaluator of the policy; its errors end the command with code 2, its warnings are for `roe check`."""
    from roe.cache import load_policy
    from roe.evaluator.engine import Evaluator

    policy, problems = load_policy(find_policy(given))
    if policy is None:
        fail(errors(problems))
    return Evaluator(policy)


def read(evaluator: Evaluator, data: Path) -> Tables:
    """The tables of a data folder; a file that cannot be read ends the command, a bad row is reported and goes on."""
    from roe.run.source import Source

    source = Source(evaluator.policy, data)
    tables = source.rows()
    heed(source.warnings)
    return tables


def heed(findings: list[Diagnostic]) -> None:
    """Show what was found about the data; an error ends the command."""
    if errors(findings):
        fail(findings)
    if findings:
        click.echo(as_text(findings, color(sys.stderr)), err=True)


def guard(policy: Policy, world: World, last: Path | None, say: bool = False) -> None:
    """Hold what was read against what the policy expects of its data, which ends the command if it is not so; `say` prints the report.

    `last` is the folder with the report of the last run.
    """
    from roe.run.source import expected, is_guarded

    if not say and not is_guarded(policy):
        return
    from roe.data.report import in_lines, read_report, report_of

    report, before = report_of(world.readings), read_report(last)
    if say:
        for line in in_lines(report, before):
            click.echo(line, err=True)
    problems = expected(policy, report, before)
    if problems:
        fail(problems)


def clock(evaluator: Evaluator, as_of: str) -> str:
    """The as-of text, checked."""
    try:
        evaluator.clock(as_of)
    except (ValueError, OverflowError):
        raise not_a_moment(as_of) from None
    return as_of


def not_a_moment(as_of: str) -> PolicyError:
    return user_error("R801", f"`{as_of}` is not a date or date-time", "--as-of", "write 2026-02-01 or 2026-02-01T09:30", as_of)


def remembered(policy: Policy, state: str | None, held: bool) -> Remembered:
    """What the last run left; with `held` also what stays where it was since a run was undone. Raises PolicyError."""
    if state is None:  # then nothing of the ledger is imported
        return {}
    from roe.run.memory import has_memory, read_memory

    if not has_memory(state):
        click.echo(f"note: there is no ledger in {state}, so roe knows nothing about earlier days", err=True)
    digest = ""
    if held:
        from roe.run.inputs import digest_of, policy_files

        digest = digest_of(policy_files(policy))
    return read_memory(state, policy.timezone, digest=digest, looks_back=policy.plan.past.looks_back)


def bind(evaluator: Evaluator, data: Path, as_of: str, state: str | None, say: bool = False, held: bool = False) -> Bound:
    """The policy on the records of a folder, once they are what it expects; `say` prints what was read, against the last run's report."""
    from roe.data.report import beside

    known = remembered(evaluator.policy, state, held)
    bound = well_named(evaluator.bind(read(evaluator, data), as_of=clock(evaluator, as_of), state=known))
    guard(evaluator.policy, bound.world, beside(state), say)
    return bound


def well_named(bound: Bound) -> Bound:
    """The same, if every rep whom the policy names is one rep of the data; else that ends the command."""
    from roe.evaluator.reps import misnamed

    problems = misnamed(bound.world)
    if problems:
        fail(problems)
    return bound


def large(data: Path) -> bool:
    """Whether columns are worth their start; smaller data is faster row by row."""
    from roe.run.source import is_large

    return is_large(data)


def bind_large(evaluator: Evaluator, data: Path, as_of: str, state: str | None, held: bool = False) -> Bound:
    """`bind`, in columns where the data is large, their packages are there, and no field rests on itself."""
    from importlib.util import find_spec

    from roe.policy.circles import circles

    if not data.exists() or not large(data) or find_spec("pyarrow") is None or find_spec("numpy") is None:
        return bind(evaluator, data, as_of, state, held=held)
    own = circles(evaluator.policy)
    if own:
        name = ".".join(own[0])
        click.echo(f"note: {name} depends on itself through the data, which only the row engine can follow; using rows", err=True)
        return bind(evaluator, data, as_of, state, held=held)
    from roe.columns.world import ColumnWorld
    from roe.data.report import beside
    from roe.evaluator.bound import Bound
    from roe.run.source import Source

    source, moment = Source(evaluator.policy, data), evaluator.clock(clock(evaluator, as_of))
    world = ColumnWorld(evaluator.compiled, source.columns(), moment)
    heed(source.warnings)
    bound = well_named(Bound(evaluator, world, remembered(evaluator.policy, state, held)))
    guard(evaluator.policy, bound.world, beside(state))
    return bound
