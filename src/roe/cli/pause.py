"""`roe pause`: stop what the service does by itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from roe.cli.common import needs_service, policy_argument, service_state
from roe.cli.serve import own_policy


@click.command("pause")
@policy_argument
@service_state
@click.option("--resume", is_flag=True, help="Start again after a pause.")
@click.option("--reason", default="", help="Reason to show while the service is paused.")
def command(policy: Path | None, state: str, resume: bool, reason: str) -> None:
    """Stop all webhooks and reassignments of the service, on all servers.

    Records are still routed, and timers wait: what fell due meanwhile happens after --resume, marked as late. Without POLICY, and with none in or
    above the current folder, it pauses the example that `roe serve` serves then.
    """
    needs_service()
    import getpass

    from roe.serve.desk import Desk
    from roe.serve.local import Local
    from roe.serve.main import example
    from roe.serve.policies import load
    from roe.serve.writer import Reply

    def act(desk: Desk, at: datetime) -> Reply:
        value = None if resume else {"by": getpass.getuser(), "at": at.isoformat(), "reason": reason}
        desk.state.put("pause", "all", value)
        return 200, dict

    with Local(state, load(own_policy(policy) or example()), create=False) as local:
        local.do(act)
    click.echo("the service goes on" if resume else "the service is paused: records are routed, nothing is sent or reassigned")
