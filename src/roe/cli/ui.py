"""`roe ui`: the pages about a policy and its records, on this machine."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import click

from roe.cli.common import PATH, as_of_option, bind_large, data_option, load, needs, policy_argument, state_option
from roe.diagnostics import PolicyError, user_error
from roe.dynamic import Json, Value

LOCAL = ("127.0.0.1", "localhost", "::1")


@click.command("ui")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--run", "run_folder", type=PATH, help="The --out folder of an earlier run, for the data page to compare with.")
@click.option("--plan", type=PATH, help="The --out folder of `roe books plan`, for the books page.")
@click.option("--users", type=PATH, help="TOML file with the users and their roles. Default: only you, as RevOps.")
@click.option("--trust-header", metavar="NAME", default="", help="Header with a user's login, set by a proxy on this machine.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port to listen on. Default: any that is free.")
@click.option("--no-browser", is_flag=True, help="Do not open the browser; print the address only.")
def command(
    policy: Path | None, data: Path, as_of: str, state: str | None, run_folder: Path | None, plan: Path | None, users: Path | None,
    trust_header: str, port: int, no_browser: bool,
) -> None:  # fmt: skip
    """Open pages about the records of a policy in the browser: who owns what, and why.

    The server answers on this machine only, and ends with Ctrl-C. Without --state it stores nothing. With it, what you do on the pages
    (answers, exceptions, leave, undo) is recorded in that ledger with your name, and the next run obeys it.
    """
    needs("the pages need", "roe ui", "ui", "starlette", "uvicorn", "jinja2", "python_multipart")
    from roe.web.app.access import Users, Viewer, read_users
    from roe.web.app.laptop import Laptop
    from roe.web.app.site import Options, Site

    known = read_users(users) if users is not None else Users({})
    evaluator = load(policy)
    laptop = Laptop(lambda: bind_large(evaluator, data, as_of, state, held=True), str(data), _number(state))
    token = "" if users is not None else secrets.token_urlsafe(24)
    options = Options(
        users=known,
        header=trust_header,
        open_token=token,
        hosts=LOCAL,
        out=run_folder,
        plan=plan,
        data=data,
        state=state,
        revision=_revision,
        local=Viewer(_login(), "revops"),
        **(_ledger(state) if state else {}),
    )
    site = Site(laptop.current, options)
    _serve(site, port, token, not no_browser)


def _login() -> str:
    """Who acts where nobody signs in: the name under which they use this machine."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a machine that does not know
        return "you"


def _number(state: str | None) -> Callable[[], int]:
    """Where the ledger of a `--state` ends; 0 without one."""
    from roe.ledger.store import exists, open_store

    if not state:
        return lambda: 0
    stores: list[Value] = []

    def number() -> int:
        if not stores and exists(state):
            stores.append(open_store(state))
        return int(stores[0].head().number) if stores else 0

    return number


def _ledger(state: str) -> Json:
    """What the pages have of a ledger. Raises PolicyError if it cannot be used."""
    from roe.ledger.store import open_store
    from roe.web.app.acting import LedgerActs
    from roe.web.app.history import History
    from roe.web.app.kept import beside

    open_store(state).close()  # an empty ledger is one that can be asked
    return {"history": History(state), "acts": LedgerActs(state), "kept": beside(state)}


def _revision(text: str, scratch: Path) -> Path:
    """The folder of a policy, or of one in git. Raises ValueError where there is none."""
    from roe.cli.repository import folder_at
    from roe.revisions import NotThere

    try:
        return folder_at(text, scratch)
    except NotThere as e:
        raise ValueError(f"git cannot find `{text}`: {e}") from e
    except PolicyError as e:
        raise ValueError(f"git cannot find `{text}`. Write REVISION:FOLDER, such as main:rules.") from e


def _serve(site: object, port: int, token: str, browser: bool) -> None:
    import uvicorn

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)  # whoever is told the address may come before the server is up
    except OSError as e:
        raise user_error(
            "R801", f"cannot listen on port {port}: {e.strerror or e}", "--port", "name another port, or leave --port out"
        ) from e
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/" + (f"open?token={token}" if token else "")
    click.echo(f"open {address}\nto end: Ctrl-C", err=True)
    if browser:
        threading.Timer(0.5, webbrowser.open, (address,)).start()
    config = uvicorn.Config(site.app(), log_level="warning", server_header=False, access_log=False)  # type: ignore[attr-defined]
    uvicorn.Server(config).run([listener])
