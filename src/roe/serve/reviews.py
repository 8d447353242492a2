"""What people have said on the pages, over HTTP: of changes of the policy, and of the moves of a plan of books."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roe.diagnostics import PolicyError
from roe.dynamic import Json
from roe.ledger.entry import Stored
from roe.ledger.people import Weighed
from roe.ledger.store import Store
from roe.serve import rights, shown
from roe.serve.problems import busy, unknown
from roe.serve.requests import authorized, server_of, whole_number

MOST = 100  # changes in one answer


async def _read(request: Request, ask: Callable[[Store], Json]) -> Json:
    rights.everything(authorized(request, "read"))
    try:
        return await asyncio.to_thread(server_of(request).read, ask)
    except (PolicyError, OSError) as e:
        raise busy(f"the ledger cannot be read: {str(e).splitlines()[0]}", 2) from None


async def reviews(request: Request) -> Response:
    """The newest word on each change of the policy, the newest first."""
    most = whole_number(request, "limit", MOST, MOST)

    def ask(store: Store) -> Json:
        newest = sorted((o.stored for o in store.latest("reviewed", True)), key=lambda x: -x.number)
        return {"reviews": [shown.entry(x) for x in newest[:most]]}

    return JSONResponse(await _read(request, ask))


async def review(request: Request) -> Response:
    """Everything that was said of one change, in order."""
    key = request.path_params["key"]
    found = await _read(
        request, lambda store: {"review": key, "entries": [shown.entry(x) for x in store.of_record("review", key, ("reviewed",))]}
    )
    if not found["entries"]:
        raise unknown(f"nobody has said anything of the change `{key[:80]}`", "see /v1/reviews: `record` is the key of a change")
    return JSONResponse(found)


def _weighed(store: Store) -> list[tuple[Stored, Weighed]]:
    return [(o.stored, o.stored.entry) for o in store.latest("weighed", True) if isinstance(o.stored.entry, Weighed)]


async def plans(request: Request) -> Response:
    """The plans of books of whose moves somebody has said something, the newest first: how many are accepted, and how many held back."""

    def ask(store: Store) -> Json:
        last, accepted, held_back = dict[str, int](), Counter[str](), Counter[str]()
        for x, e in _weighed(store):
            last[e.plan] = max(x.number, last.get(e.plan, 0))
            (accepted if e.accepted else held_back)[e.plan] += 1
        newest = sorted(last, key=lambda plan: -last[plan])
        return {"plans": [{"plan": plan, "accepted": accepted[plan], "held_back": held_back[plan]} for plan in newest]}

    return JSONResponse(await _read(request, ask))


async def plan(request: Request) -> Response:
    """What was last said of each move of a plan of books: whether it is accepted, by whom and why."""
    key = request.path_params["plan"]

    def ask(store: Store) -> Json:
        said = sorted((e.book, e.record, x.number, x) for x, e in _weighed(store) if e.plan == key)
        return {"plan": key, "moves": [shown.entry(x) for *_, x in said]}

    found = await _read(request, ask)
    if not found["moves"]:
        raise unknown(f"nobody has said anything of the plan `{key[:80]}`", "see /v1/plans")
    return JSONResponse(found)


def routes() -> list[Route]:
    return [
        Route("/v1/reviews", reviews, methods=["GET"]),
        Route("/v1/reviews/{key}", review, methods=["GET"]),
        Route("/v1/plans", plans, methods=["GET"]),
        Route("/v1/plans/{plan}", plan, methods=["GET"]),
    ]
