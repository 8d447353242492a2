"""Starting a server: its settings from the command line, its records if it is new, and uvicorn around it."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from roe.diagnostics import user_error
from roe.dynamic import Json
from roe.serve.app import build_app
from roe.serve.logs import set_up
from roe.serve.pages import page_routes
from roe.serve.server import Server
from roe.serve.settings import Settings, read_settings
from roe.serve.tokens import read_tokens

ARGUMENTS = "ROE_SERVE_ARGUMENTS"  # how worker processes are told what the command line said
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")
DRAIN = 30  # seconds in which requests may end when the service stops
DEAD = 60  # seconds in which a worker must say that it is there, or is replaced: one that collects many objects, or waits for a busy machine, is silent


def example() -> Path:
    """The policy that comes with roe: inbound lead routing, with a few accounts and reps."""
    import roe

    installed = Path(roe.__file__).parent / "example"
    return installed if installed.is_dir() else Path(roe.__file__).parents[2] / "policies" / "examples" / "inbound"


def settings_of(arguments: Json) -> Settings:
    """The settings of a command line. Raises PolicyError for what cannot be used together."""
    config = arguments.get("config")
    written = read_settings(Path(config) if config else None)
    paths = {name: Path(arguments[name]) for name in ("policy", "tokens", "shadow", "users") if arguments.get(name)}
    plain = {
        name: arguments[name] for name in ("state", "host", "port", "watch", "activate", "trust_header") if arguments.get(name) is not None
    }
    settings = Settings(**{**written, **paths, **plain})
    if settings.host not in LOCAL_HOSTS and not read_tokens(settings.tokens):
        message = f"the service would answer anybody who reaches `{settings.host}`, since it has no tokens"
        raise user_error("R908", message, "--host", "make one first: roe token NAME")
    return settings


def serve(arguments: Json, workers: int) -> None:
    """Run the service until it is stopped. With several workers each is a process of its own; they share the ledger."""
    import uvicorn

    settings = settings_of(arguments)
    set_up()
    options: Json = {
        "host": settings.host, "port": settings.port, "log_config": None, "access_log": False, "server_header": False,
        "timeout_graceful_shutdown": DRAIN, "timeout_keep_alive": 30, "timeout_worker_healthcheck": DEAD,
    }  # fmt: skip
    if workers > 1:
        os.environ[ARGUMENTS] = json.dumps(arguments, default=str)
        uvicorn.run("roe.serve.main:worker", factory=True, workers=workers, **options)
    else:
        uvicorn.run(_app(settings), **options)


def worker() -> Any:
    """The application of one worker process."""
    set_up()
    return _app(settings_of(json.loads(os.environ[ARGUMENTS])))


def _app(settings: Settings) -> Any:
    """The API, and the pages where they have their packages and nobody reaches them who may not."""
    server = Server(settings)
    alone = settings.host in LOCAL_HOSTS and not read_tokens(settings.tokens)
    if find_spec("jinja2") is None or not (settings.users or alone):
        return build_app(server)
    return build_app(server, page_routes(server, settings.trust_header))
