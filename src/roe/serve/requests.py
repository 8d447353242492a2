"""What a request says: who sends it, its key, its version and its JSON, each checked before anything is done with it."""

from __future__ import annotations

import hashlib
import json

from starlette.requests import Request

from roe.dynamic import Json, Value
from roe.serve.bodies import checked, parsed
from roe.serve.problems import Refused, unreadable
from roe.serve.records import LONGEST_ID
from roe.serve.rights import token_of
from roe.serve.server import Server
from roe.serve.tokens import ANYBODY, Token
from roe.serve.versions import parse_version

LOCAL = ("localhost", "127.0.0.1", "[::1]", "testserver")


def server_of(request: Request) -> Server:
    server: Server = request.app.state.server
    return server


def authorized(request: Request, scope: str) -> Token:
    """Whoever sends the request, if the token allows it. Without tokens and users the service answers this machine alone."""
    server = server_of(request)
    if not server.tokens and not server.users:
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        if host not in LOCAL:  # a page elsewhere that has its name point here
            raise Refused(401, "R901", "without tokens the service answers requests to localhost alone", "make a token: roe token NAME")
        return ANYBODY
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip() if kind.lower() == "bearer" else ""
    token = (server.tokens.find(text) or token_of(server.users, text)) if text else None
    if token is None:
        raise Refused(401, "R901", "the request has no valid token", "send `Authorization: Bearer …`", {"WWW-Authenticate": "Bearer"})
    noted(request, token=token.name)
    if not token.allows(scope):
        headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
        raise Refused(403, "R902", f"the token `{token.name}` does not allow this", f"use a token with the scope `{scope}`", headers)
    return token


def noted(request: Request, **values: object) -> None:
    """Note something for the request's line in the log."""
    request.scope.setdefault("state", {}).setdefault("noted", {}).update(values)


async def body_of(request: Request) -> bytes:
    """The bytes of the body, as long as they are within the limit."""
    limit, parts, size = server_of(request).settings.body_limit, [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise unreadable(f"the body has more than {limit} bytes", "send fewer or shorter fields", 413)
        parts.append(part)
    return b"".join(parts)


async def fields_of(request: Request) -> Json:
    """The fields that the body sets: texts, numbers, true, false or null."""
    return checked(await json_of(request))


async def json_of(request: Request) -> Value:
    """The body as JSON. NaN and numbers beyond what JSON has are refused, and so are lone surrogates, which nothing can store."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise unreadable("the body is not declared as JSON", "send `Content-Type: application/json`", 415)
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise unreadable(f"the body is compressed with `{coding[:40]}`", "send it as it is, without Content-Encoding", 415)
    return parsed(await body_of(request))


def id_of(request: Request) -> str:
    """The id in the address."""
    id: str = request.path_params["id"]
    if not id.strip() or len(id) > LONGEST_ID or "|" in id or "\0" in id:
        raise unreadable("the id in the address cannot be one", f"ids have 1 to {LONGEST_ID} characters, without `|`", 422)
    return id


def version_of(request: Request) -> str:
    """The version of the record at its source, from `Record-Version` or `?version=`; empty if none is said."""
    text = request.headers.get("record-version") or (request.scope["query_string"] and request.query_params.get("version")) or ""
    if not text:
        return ""
    try:
        return parse_version(text)
    except ValueError:
        help = "send a whole number, or a moment with a time zone such as 2026-03-02T09:30:00Z"
        raise unreadable(f"`{text[:80]}` is not a version", help, 422) from None


def key_of(request: Request, token: Token, value: object) -> tuple[str, str]:
    """(the request's idempotency key, the digest of what it asks); both empty without a key. Each token has keys of its own."""
    given = request.headers.get("idempotency-key", "").strip()
    if not given:
        return "", ""
    key = given[1:-1] if len(given) > 2 and given[0] == given[-1] == '"' else given
    if len(key) > 255 or not key.isascii() or not key.isprintable():
        raise unreadable("the Idempotency-Key cannot be one", "send 1 to 255 printable ASCII characters, such as a UUID")
    asked = json.dumps([request.method, request.url.path, request.url.query, value], sort_keys=True)
    return f"{token.name}:{key}", hashlib.sha256(asked.encode()).hexdigest()


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query, from 0."""
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise unreadable(f"`{name}` must be a whole number", f"leave it out, or send one from 0 to {most}", 422)
    return min(int(text), most)
