"""`roe serve`: the policy as a service."""

from __future__ import annotations

from pathlib import Path

import click

from roe.cli.common import PATH, find_policy, needs_service, policy_argument, service_state
from roe.cli.settings import policy_folder
from roe.diagnostics import user_error


@click.command("serve")
@policy_argument
@service_state
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. Any other than this machine's needs tokens.")
@click.option("--port", type=click.IntRange(1, 65535), default=8321, show_default=True, help="Port to listen on.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that share the ledger.")
@click.option("--tokens", type=PATH, help="File with the digests of bearer tokens; `roe token` writes it.")
@click.option("--config", type=click.Path(path_type=Path, exists=True), help="File serve.toml: webhooks, receivers and limits.")
@click.option(
    "--shadow", type=PATH, metavar="CANDIDATE", help="Second policy to compare with: it decides every record too, without effect."
)
@click.option("--users", type=PATH, help="TOML file with who may sign in to the pages, as whom; see docs/ui.md.")
@click.option("--trust-header", metavar="NAME", default="", help="Header with a user's login, set by your proxy.")
@click.option("--watch", is_flag=True, help="Reload the policy when its folder changes.")
@click.option("--activate", is_flag=True, help="Put this policy in force if the ledger has another one in force.")
def command(
    policy: Path | None, state: str, host: str, port: int, workers: int, tokens: Path | None, config: Path | None, shadow: Path | None,
    users: Path | None, trust_header: str, watch: bool, activate: bool,
) -> None:  # fmt: skip
    """Answer who gets a record, why and until when, in milliseconds.

    Without POLICY, and with none in or above the current folder, it serves the example that comes with roe, with its accounts and reps.
    """
    needs_service()
    from roe.serve.main import example, serve, settings_of

    root = own_policy(policy)
    arguments = {
        "policy": root or example(), "state": state, "host": host, "port": port, "tokens": tokens, "config": config, "shadow": shadow,
        "users": users, "trust_header": trust_header, "watch": watch, "activate": activate,
    }  # fmt: skip
    settings_of(arguments)  # what is wrong with them is said before anything is made
    _is_free(host, port)
    if root is None:
        _fill(example(), state)
        click.echo("no policy here: serving the example that comes with roe", err=True)
    click.echo(f"serving {root or 'the example'} at http://{host}:{port}; the addresses are in docs/serve.md; to end: Ctrl-C", err=True)
    serve(arguments, workers)


def _is_free(host: str, port: int) -> None:
    """End the command if something else listens on the port: uvicorn would say so in the middle of its log."""
    import errno
    import socket

    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            raise user_error("R801", f"port {port} is in use", "--port", "stop what listens there, or name another port") from e


def own_policy(given: Path | None) -> Path | None:
    """The policy that is named or near; None if there is none, and none was named."""
    return None if given is None and policy_folder(None) is None else find_policy(given)


def _fill(root: Path, state: str) -> None:
    """Load the example's accounts and reps into a new ledger."""
    from roe.cli.sync import tables_of
    from roe.serve.local import Local
    from roe.serve.policies import load
    from roe.serve.sync import sync

    ready = load(root)
    with Local(state, ready) as local:
        tables = tables_of(ready.evaluator.policy, root / "data")
        decided = {entity for entity, _ in ready.evaluator.policy.plan.engagement}
        sync(local, {entity: rows for entity, rows in tables.items() if entity not in decided})
