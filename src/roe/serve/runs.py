"""Runs over HTTP: which there were, what the undo of one would give back, and the undo itself, as `roe undo` does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roe.diagnostics import PolicyError
from roe.dynamic import Json
from roe.ledger.database import BUSY, MISSING
from roe.ledger.entries import RunEntry
from roe.ledger.store import Store
from roe.run.acts import LONGEST
from roe.run.memory import UNDO
from roe.run.undo import Undone, undo, would_undo
from roe.serve import rights
from roe.serve.problems import Refused, busy, unreadable
from roe.serve.queue import answered
from roe.serve.requests import authorized, fields_of, server_of, whole_number
from roe.serve.tokens import ANYBODY
from roe.serve.writer import Job

T = TypeVar("T")
PATIENCE = 10.0  # seconds for the ledger's lock
MOST = 100  # runs in one answer
LAST_YEAR = 8999  # near the year 10,000 a day could not be moved to another time zone


async def runs(request: Request) -> Response:
    """The last runs, undoes and adjustments, the newest first."""
    rights.everything(authorized(request, "read"))
    most = whole_number(request, "limit", MOST, MOST)

    def ask(store: Store) -> list[Json]:
        runs = [(x, x.entry) for x in reversed(store.runs()) if isinstance(x.entry, RunEntry)]
        undone = {run.counts.get("run") for _, run in runs if run.what == UNDO}
        return [
            {"run": run.id, "number": x.number, "what": run.what, "at": str(run.at), "policy": run.digest, "undone": run.id in undone}
            for x, run in runs[:most]
        ]

    return JSONResponse({"runs": await asyncio.to_thread(server_of(request).read, ask)})


async def would(request: Request) -> Response:
    """What the undo of a run would give back, and which records it would leave, since they were touched since."""
    rights.everything(authorized(request, "read"))
    state, run = server_of(request).settings.state, request.path_params["run"]
    return JSONResponse(_shown(await _asked(lambda: would_undo(run, state, PATIENCE))))


async def give_back(request: Request) -> Response:
    """Undo a run. The answer comes once this server has taken over what that changes."""
    token = authorized(request, "admin")
    server, run, body = server_of(request), request.path_params["run"], await fields_of(request)
    by, reason, until = str(body.get("by") or ""), str(body.get("reason") or ""), _day(body.get("until"))
    by = by or ("" if token is ANYBODY else token.name)
    if not by:
        raise unreadable("the request does not say who undoes the run", 'send {"by": "Ann Lee", "reason": "the wrong file"}', 422)
    who = f"{by}: {reason}" if reason else by
    undone = await _asked(lambda: undo(run, server.settings.state, who[:LONGEST], until, PATIENCE))
    await answered(server.queue.submit(Job(lambda desk, at: (200, dict))))
    return JSONResponse(_shown(undone))


async def _asked(ask: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(ask)
    except PolicyError as e:
        first = e.diagnostics[0]
        if first.code in (BUSY, MISSING):
            raise busy(first.message, 2) from None
        raise Refused(422, first.code, first.message, first.help) from None


def _day(value: object) -> date | None:
    if value in (None, ""):
        return None
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise unreadable("`until` is not a day", "write it as 2026-03-31", 422) from None
    if day.year > LAST_YEAR:
        raise unreadable(f"`until` is too far away: {day}", f"use a day no later than the year {LAST_YEAR}", 422)
    return day


def _shown(undone: Undone) -> Json:
    names = ("entity", "id", "role", "owner", "former")
    return {
        "undo": undone.id or None,
        "turns": undone.turns,
        "until": str(undone.until),
        "given_back": [dict(zip(names, x, strict=True)) for x in undone.back],
        "left": [dict(zip(names, x, strict=False)) for x in undone.left],
    }


def routes() -> list[Route]:
    return [
        Route("/v1/runs", runs, methods=["GET"]),
        Route("/v1/runs/{run}/undo", would, methods=["GET"]),
        Route("/v1/runs/{run}/undo", give_back, methods=["POST"]),
    ]
