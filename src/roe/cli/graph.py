"""`roe graph`: a policy as a flow chart."""

from __future__ import annotations

from pathlib import Path

import click

from roe.analysis.graph import chart, listed, mermaid, svg
from roe.cli.common import PATH, bind, format_option, load, policy_argument, put, state_option
from roe.cli.explain import find_record
from roe.cli.settings import as_of_setting, data_setting
from roe.diagnostics import suggest, user_error
from roe.handbook import parts


@click.command("graph")
@policy_argument
@click.option("--entity", help="Draw only what is about this entity, such as account or lead.")
@click.option("--role", help="Draw only the rules of this role, such as ae or sdr.")
@click.option(
    "--record", help="Draw only the rules, and highlight the path of this record (an id, a name or a domain). Needs --data and --as-of."
)
@data_setting("With --record: folder with the records.", beside="record")
@as_of_setting("With --record: the date or date-time to use as `today` and `now`.", beside="record")
@state_option
@format_option("mermaid", "svg")
@click.option("--out", type=PATH, help="File to write. Default: standard output.")
def command(
    policy: Path | None, entity: str | None, role: str | None, record: str | None, data: Path | None, as_of: str | None, state: str | None,
    shape: str, out: Path | None,
) -> None:  # fmt: skip
    """Draw the policy as a flow chart: the parts of `roe handbook`, or the rules with one record's path highlighted."""
    evaluator = load(policy)
    rules = {k: c for k, c in evaluator.policy.plan.engagement.items() if entity in (None, k[0]) and role in (None, k[1])}
    if record is not None:
        if data is None or as_of is None:
            raise click.UsageError("--record needs --data and --as-of")
        bound = bind(evaluator, data, as_of, state)
        row = find_record(bound, record)
        charts = [chart(step, k[1], bound.decide(row, k[1])) for k, step in rules.items() if k[0] == row.entity]
    else:
        wanted = [x for x in parts(evaluator, None) if entity in (None, x.entity) and role in (None, x.role)]
        charts = [listed(x.title, x.rows, x.ladder) for section in wanted for x in section.listings]
    if not charts:
        known = [f"{e} {r}" for e, r in evaluator.policy.plan.engagement]
        asked = f"{entity or ''} {role or ''}".strip()
        raise user_error("R502", f"there are no rules for `{asked}`", "--role", suggest(asked, known, f"there are {', '.join(known)}"))
    text = mermaid(charts) if shape == "mermaid" else svg(charts)
    put(text, out)
