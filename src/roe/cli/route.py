"""`roe route`: route one record by the service's ledger, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from roe.cli.common import fail, find_policy, format_option, needs_service, policy_argument, put_json, service_state
from roe.diagnostics import Diagnostic, user_error
from roe.dynamic import Value
from roe.source import Span


@click.command("route")
@click.argument("record", metavar="FILE", type=click.File("rb"))
@policy_argument
@service_state
@click.option("--entity", default="lead", show_default=True, help="Entity of the record, such as lead or account.")
@format_option("text", "json")
def command(record: Value, policy: Path | None, state: str, entity: str, shape: str) -> None:
    """Route the record in FILE, a JSON object of its fields (`-` is standard input).

    You get the answer that the service gives to the same request, recorded in the same ledger. A record that has an owner keeps it.
    """
    needs_service()
    from roe.serve.local import Local
    from roe.serve.policies import load

    try:
        values = json.loads(record.read())
        if not isinstance(values, dict):
            raise ValueError("it is not one JSON object")
    except (ValueError, RecursionError) as e:
        raise user_error(
            "R903",
            f"the record cannot be read: {e}",
            record.name,
            'write one JSON object, such as {"id": "L1", "email": "ada@example.com"}',
        ) from e
    with Local(state, load(find_policy(policy))) as local:
        status, answer = local.route(entity, values)
    if status >= 400:
        place = Span(record.name, 1, 1, 2)
        fail([Diagnostic(answer["code"], answer["detail"], place, answer.get("help") or "correct the record", severity="error")])
    if shape == "json":
        put_json(answer)
        return
    for role, owner in answer["roles"].items():
        until = f", until {owner['until']}" if owner["until"] else ""
        click.echo(
            f"{role}: {owner['owner_name'] or owner['owner'] or 'nobody'}{until}: {owner['sentence']} [decision {owner['decision']}]"
        )
