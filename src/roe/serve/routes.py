"""The addresses of the service. Each endpoint reads its request, asks the writer or the ledger, and answers with JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roe.crm.ids import fold
from roe.dynamic import Json, Record, Saved
from roe.ledger.entries import KINDS
from roe.ledger.store import Store
from roe.serve import asked, events, hooked, intake, outbox, reviews, rights, runs, shown
from roe.serve.desk import Desk
from roe.serve.openapi import document
from roe.serve.people import DECIDES
from roe.serve.problems import Refused, busy, unknown, unreadable
from roe.serve.queue import answered, in_time
from roe.serve.requests import authorized, fields_of, id_of, json_of, key_of, noted, server_of, version_of, whole_number
from roe.serve.times import millis
from roe.serve.tokens import ANYBODY, Token
from roe.serve.writer import Act, Job, Reply

T = TypeVar("T")
FEED = 500  # entries in one answer of the feed
RECORD = "/v1/{entity}/{id:path}"  # an id may have slashes, which arrive as such however they were sent


async def written(
    request: Request,
    token: Token,
    value: object,
    act: Act,
    touches: Sequence[tuple[str, str]] = (),
    routes: Sequence[tuple[str, Record]] = (),
) -> Response:
    """Have the writer do something, and answer once it is committed."""
    server = server_of(request)
    key, digest = key_of(request, token, value)
    if key and key in server.under_way:
        raise Refused(409, "R906", "a request with this Idempotency-Key is under way", "repeat it in a second", {"Retry-After": "1"})
    if key:
        server.under_way.add(key)
    try:
        status, body, replayed = await answered(server.queue.submit(Job(act, touches, key, digest, routes=routes)))
    finally:
        server.under_way.discard(key)
    noted(request, **({"decision": body["decision"]} if "decision" in body else {}))
    media = "application/problem+json" if status >= 400 else None
    return JSONResponse(body, status, {"Idempotent-Replayed": "true"} if replayed else None, media)


async def known(request: Request, ask: Callable[[Desk, datetime], Json]) -> Json:
    """Ask the desk something that changes nothing."""
    return await answered(server_of(request).queue.ask(ask))


async def read(request: Request, ask: Callable[[Store], T]) -> T:
    """Ask the ledger, away from the event loop."""
    from roe.diagnostics import PolicyError

    server = server_of(request)
    if server.queue.is_stuck:
        raise busy(server.queue.problem, 2)
    try:
        async with in_time():
            return await asyncio.to_thread(server.read, ask)
    except (PolicyError, OSError) as e:
        raise busy(f"the ledger cannot be read: {str(e).splitlines()[0]}", 2) from None


# --- records and decisions --------------------------------------------------------------------------------------------


async def route(request: Request) -> Response:
    token = authorized(request, "route")
    values, version = await fields_of(request), version_of(request)
    name = request.path_params["entity"]

    def act(desk: Desk, at: datetime) -> Reply:
        entity = desk.entity(name)
        id, was_known, stale = desk.route(entity, values, version, at)
        not_read = desk.not_read
        return 200 if was_known else 201, lambda: {**desk.answer(entity, id), "known": was_known, "stale": stale, **not_read}

    return await written(request, token, values, act, routes=[(name, values)])


async def put(request: Request) -> Response:
    return await _kept(request, whole=True)


async def patch(request: Request) -> Response:
    return await _kept(request, whole=False)


async def _kept(request: Request, whole: bool) -> Response:
    token = authorized(request, "write")
    values, version, id, name = await fields_of(request), version_of(request), fold(id_of(request)), request.path_params["entity"]

    def act(desk: Desk, at: datetime) -> Reply:
        entity = desk.entity(name)
        if whole:
            named = values if "id" in {n.lower() for n in values} else {"id": id, **values}
            if (written_id := str(desk.records.typed(entity, named)["id"])) != id:
                raise Refused(422, "R602", f"the record's id is `{written_id}`, and the address says `{id}`", "send one id")
            stale = intake.put(desk, entity, named, version, at)[1]
        else:
            stale = intake.patch(desk, entity, id, values, version, at)
        not_read = desk.not_read
        return 200, lambda: {**_mirrored(desk, entity, id, stale), **not_read}

    return await written(request, token, values, act, [(name, id)])


async def delete(request: Request) -> Response:
    token = authorized(request, "write")
    version, id, name = version_of(request), fold(id_of(request)), request.path_params["entity"]

    def act(desk: Desk, at: datetime) -> Reply:
        entity = desk.entity(name)
        if not desk.record(entity, id).versions:
            raise unknown(f"there is no {entity} `{id}`")
        stale = intake.delete(desk, entity, id, version, at)
        return 200, lambda: {"entity": entity, "id": id, "stale": stale, "deleted": not stale}

    return await written(request, token, None, act, [(name, id)])


def _mirrored(desk: Desk, entity: str, id: str, stale: bool) -> Json:
    """What became of a record that was sent, and its owners if it has any."""
    owners = {key.split("|", 2)[2]: desk.shown(*key.split("|", 2)) for key in desk.owner_keys(entity, id)}
    return {"entity": entity, "id": id, "stale": stale, "roles": owners}


async def event(request: Request) -> Response:
    token = authorized(request, "route")
    value = await json_of(request)
    if isinstance(value, dict) and value.get("event") in DECIDES:
        token = authorized(request, "admin")
    if not isinstance(value, dict):
        raise unreadable("the body is not a JSON object", 'send {"event": "worked", "id": "L1", "rep": "ann"}', 422)
    for key, x in value.items():
        if key == "activity" and not isinstance(x, (dict, type(None))):
            raise unreadable("`activity` is not an object of fields", 'send {"activity": {"type": "call"}}', 422)
        if key != "activity" and isinstance(x, (dict, list)):
            raise unreadable(
                f"`{key[:80]}` is not a text, a number, true, false or null", 'send {"event": "worked", "id": "L1", "rep": "ann"}', 422
            )
    by = value.get("by") or ("" if token is ANYBODY else token.name)
    return await written(request, token, value, lambda desk, at: _event(desk, {**value, "by": by}, at))


def _event(desk: Desk, value: Saved, at: datetime) -> Reply:
    outcome = events.handle(desk, value, at)

    def make() -> Json:
        return {**outcome, **({"decision": desk.shown(*_key(outcome))["decision"]} if "decision" in outcome else {})}

    return 200, make


def _key(outcome: Saved) -> tuple[str, str, str]:
    return outcome["entity"], outcome["id"], outcome["role"]


async def owners(request: Request) -> Response:
    token = authorized(request, "read")
    id, name = fold(id_of(request)), request.path_params["entity"]
    return JSONResponse(
        await known(request, lambda desk, at: rights.shown(token, desk, desk.entity(name), id, desk.answer(desk.entity(name), id)))
    )


async def explain(request: Request) -> Response:
    token = authorized(request, "read")
    id, name, rep = fold(id_of(request)), request.path_params["entity"], request.query_params.get("why_not", "")

    def ask(desk: Desk, at: datetime) -> Json:
        entity = desk.entity(name)
        if rights.sees_whole(token, desk, entity, id):
            return asked.explained(desk, entity, id, rep)
        return {**rights.shown(token, desk, entity, id, desk.answer(entity, id)), "traces": {}}

    return JSONResponse(await known(request, ask))


async def history(request: Request) -> Response:
    token = authorized(request, "read")
    id, name = fold(id_of(request)), request.path_params["entity"]

    def ask(desk: Desk, at: datetime) -> Json:
        rights.only_team(token, desk, desk.entity(name), id)
        return {"entity": desk.entity(name)}

    entity = (await known(request, ask))["entity"]
    after, most = whole_number(request, "after", 0, 10**15), whole_number(request, "limit", FEED, FEED)
    entries = await read(request, lambda store: [shown.entry(x) for x in store.of_record(entity, id, after=after, most=most)])
    if not entries and most and not after:
        raise unknown(f"the ledger has nothing about the {entity} `{id}`")
    following = {"next": entries[-1]["number"]} if entries and len(entries) == most else {}
    return JSONResponse({"entity": entity, "id": id, "entries": entries, **following})


async def decision(request: Request) -> Response:
    token = authorized(request, "read")
    text = request.path_params["number"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise unreadable(f"`{text[:40]}` is not the number of a decision", "an answer has it under `decision`", 422)
    try:
        found = await read(request, lambda store: shown.decision(store, int(text)))
    except KeyError:
        raise unknown(f"there is no decision {text}", "an answer has its number under `decision`") from None
    if rights.sees_all(token):
        return JSONResponse(found)
    return JSONResponse(await known(request, lambda desk, at: rights.shown(token, desk, found["entity"], found["record"], found)))


async def changes(request: Request) -> Response:
    """The feed: entries after a number, in order. Numbers have no gaps, so a reader that follows `next` misses nothing."""
    rights.everything(authorized(request, "read"))
    after, most = whole_number(request, "after", 0, 10**15), whole_number(request, "limit", FEED, FEED)
    kinds = [k for k in request.query_params.get("kinds", "").split(",") if k]
    for kind in kinds:
        if kind not in KINDS:
            raise unreadable(f"`{kind[:40]}` is not a kind of entry", f"the kinds are {', '.join(KINDS)}", 422)
    found = await read(request, lambda store: shown.feed(store, after, most, kinds))
    if after > (last := found.pop("last")):
        help = "begin again with after=0 if `epoch` has changed: the ledger was restored"
        raise unreadable(f"there is no entry {after} yet; the last one is {last}", help, 422)
    return JSONResponse(found)


async def rep(request: Request) -> Response:
    token = authorized(request, "read")
    id = id_of(request)

    def ask(desk: Desk, at: datetime) -> Json:
        found = asked.rep(desk, id, at)
        rights.only_rep(token, desk, found["rep"])
        return found

    return JSONResponse(await known(request, ask))


async def held(request: Request) -> Response:
    rights.everything(authorized(request, "read"))
    return JSONResponse(await known(request, lambda desk, at: asked.held(desk)))


# --- running the service -----------------------------------------------------------------------------------------------


async def pause(request: Request) -> Response:
    """Stop pushes and reassignments; records are still routed."""
    token = authorized(request, "admin")
    value = await fields_of(request)

    def act(desk: Desk, at: datetime) -> Reply:
        desk.state.put("pause", "all", {"by": token.name, "at": at.isoformat(), "reason": str(value.get("reason") or "")})
        return 200, lambda: {"paused": True, **desk.state.get("pause", "all")}

    return await written(request, token, value, act)


async def resume(request: Request) -> Response:
    token = authorized(request, "admin")

    def act(desk: Desk, at: datetime) -> Reply:
        desk.state.put("pause", "all", None)
        return 200, lambda: {"paused": False}

    return await written(request, token, None, act)


async def take_policy(request: Request) -> Response:
    """Have the policy of the server's folder take over: as it is, or as it was at a git revision."""
    token = authorized(request, "admin")
    revision = str((await fields_of(request)).get("revision") or "")
    server = server_of(request)
    return JSONResponse(await asyncio.to_thread(server.activate, server.settings.policy, token.name, revision))


async def policy(request: Request) -> Response:
    rights.everything(authorized(request, "read"))
    return JSONResponse(
        await known(request, lambda desk, at: {**(desk.state.get("policy", "active") or {}), "unreadable": len(desk.records.unreadable)})
    )


async def shadow(request: Request) -> Response:
    rights.everything(authorized(request, "read"))
    found = server_of(request).writer.shadow
    if found is None:
        raise unknown("no candidate policy is decided beside the one in force", "start the service with --shadow CANDIDATE")
    return JSONResponse(found.as_json(whole_number(request, "limit", FEED, FEED)))


async def letters(request: Request) -> Response:
    authorized(request, "admin")
    state = request.query_params.get("state", "dead")
    if state not in ("waiting", "sent", "dead"):
        raise unreadable("`state` must be waiting, sent or dead", "leave it out for dead letters", 422)
    most = whole_number(request, "limit", FEED, FEED)
    return JSONResponse({"letters": await read(request, lambda store: outbox.letters(store, state, most))})


async def send_again(request: Request) -> Response:
    authorized(request, "admin")
    server, text = server_of(request), request.path_params["number"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise unreadable(f"`{text[:40]}` is not the number of a letter", "see /v1/letters", 422)
    if not await read(request, lambda store: outbox.again(store, int(text), millis(server.time.now()))):
        raise unknown(f"there is no dead letter {text}", "see /v1/letters")
    return JSONResponse({"number": int(text), "state": "waiting"})


async def alive(request: Request) -> Response:
    return JSONResponse({"alive": True})


async def is_ready(request: Request) -> Response:
    server = server_of(request)
    writer, problem = server.writer, server.queue.problem
    if writer.desk is None or problem:
        raise busy(problem, 2)
    return JSONResponse({"ready": True, "policy": writer.policy.digest, "paused": writer.desk is not None and writer.desk.is_paused})


async def metrics(request: Request) -> Response:
    rights.everything(authorized(request, "read"))
    server = server_of(request)
    text = await asyncio.to_thread(server.metrics.text, server.writer.desk)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


async def openapi(request: Request) -> Response:
    return JSONResponse(document())


def routes() -> list[Route]:
    """All addresses, the fixed ones before those with an entity in them."""
    return [
        Route("/healthz", alive, methods=["GET"]),
        Route("/ready", is_ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/v1/openapi.json", openapi, methods=["GET"]),
        Route("/v1/events", event, methods=["POST"]),
        Route("/v1/changes", changes, methods=["GET"]),
        Route("/v1/held", held, methods=["GET"]),
        Route("/v1/pause", pause, methods=["PUT"]),
        Route("/v1/pause", resume, methods=["DELETE"]),
        Route("/v1/decisions/{number}", decision, methods=["GET"]),
        Route("/v1/policy", policy, methods=["GET"]),
        Route("/v1/policy", take_policy, methods=["PUT"]),
        Route("/v1/shadow", shadow, methods=["GET"]),
        Route("/v1/letters", letters, methods=["GET"]),
        Route("/v1/letters/{number}/send", send_again, methods=["POST"]),
        *runs.routes(),
        *reviews.routes(),
        *hooked.routes(),
        Route("/v1/{entity}", route, methods=["POST"]),
        Route(f"{RECORD}/explain", explain, methods=["GET"]),
        Route(f"{RECORD}/history", history, methods=["GET"]),
        Route("/v1/reps/{id:path}", rep, methods=["GET"]),
        Route(RECORD, owners, methods=["GET"]),
        Route(RECORD, put, methods=["PUT"]),
        Route(RECORD, patch, methods=["PATCH"]),
        Route(RECORD, delete, methods=["DELETE"]),
    ]
