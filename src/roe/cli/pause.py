"""`roe pause`: stop what the service does by itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from roe.cli.common import find_policy, needs_service, policy_argument, service_state


@click.command("pause")
@policy_argument
@service_state
@click.option("--resume", is_flag=True, help="Start again after a pause.")
@click.option("--reason", default="", help="Reason to show while the service is paused.")
def command(policy: Path | None, state: str, resume: bool, reason: str) -> None:
    """Stop all webhooks and reassignments of the service, on all servers.

    Records are still routed, and timers wait: what fell due meanwhile happens after --resume, marked as late.
    """
    needs_service()
    import getpass

    from roe.serve.desk import Desk
    from roe.serve.local import Local
    from roe.serve.policies import load
    from roe.serve.writer import Reply

    def act(desk: Desk, at: datetime) -> Reply:
        value = None if resume else {"by": getpass.getuser(), "at": at.isoformat(), "reason": reason}
        desk.state.put("pause", "all", value)
        return 200, dict

    with Local(state, load(find_policy(policy))) as local:
        local.do(act)
    click.echo("the service goes on" if resume else "the service is paused: records are routed, nothing is sent or reassigned")
