"""The service's OpenAPI 3.1 document. A test calls every address with what the document allows, and with what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from roe import __version__
from roe.dynamic import Json
from roe.serve.bodies import LONGEST_TEXT, MOST_FIELDS
from roe.serve.events import EVENTS
from roe.serve.records import LONGEST_ID
from roe.serve.tokens import SCOPES

TEXT: Json = {"type": "string"}
NULLABLE: Json = {"type": ["string", "null"]}
SCALAR: Json = {"type": ["string", "number", "boolean", "null"], "maxLength": LONGEST_TEXT}
OBJECT: Json = {"type": "object"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_OWNER: Json = {
    "type": "object",
    "required": ["entity", "id", "role", "decision", "owner", "action", "rule", "sentence", "until", "policy"],
    "properties": {
        "entity": TEXT, "id": TEXT, "role": TEXT, "decision": {"type": "integer", "description": "the number of its entry in the ledger"},
        "owner": {**NULLABLE, "description": "the rep's id; null where nobody owns it"}, "owner_name": NULLABLE, "former": NULLABLE,
        "by": {**TEXT, "description": "rule, hand, claim, correction"}, "action": TEXT, "rule": NULLABLE, "sentence": TEXT, "until": NULLABLE,
        "pool": NULLABLE, "since": TEXT, "policy": {**TEXT, "description": "the digest of the policy that decided"},
        "late": {"type": "integer", "description": "how many seconds late the timer was"},
        "unable": {"type": "object", "description": "reps whom the rule names, and why they cannot take the record now"},
    },
}  # fmt: skip

NOT_READ: Json = {
    "not_understood": {"type": "array", "items": TEXT, "description": "fields of the record that the policy does not know"},
    "unread": {"type": "object", "description": "values that their fields cannot read, such as a country that does not exist"},
}

SCHEMAS: Json = {
    "Fields": {
        "type": "object", "additionalProperties": SCALAR, "maxProperties": MOST_FIELDS,
        "description": "a record as the CRM has it: fields under the names that the policy or its CRM profile reads",
    },
    "Owner": _OWNER,
    "Answer": {
        "allOf": [_ref("Owner")], "type": "object", "required": ["roles", "held"],
        "properties": {
            "roles": {"type": "object", "additionalProperties": _ref("Owner")}, "held": {"type": "boolean"},
            "known": {"type": "boolean", "description": "whether the record had owners already, and keeps them"},
            "stale": {"type": "boolean", "description": "whether a newer version of the record was here already"}, **NOT_READ,
        },
    },
    "Mirrored": {
        "type": "object", "required": ["entity", "id", "stale"],
        "properties": {"entity": TEXT, "id": TEXT, "stale": {"type": "boolean"}, "deleted": {"type": "boolean"}, "roles": OBJECT, **NOT_READ},
    },
    "Event": {
        "type": "object", "required": ["event"],
        "properties": {
            "event": {"enum": list(EVENTS)}, "entity": TEXT, "id": TEXT, "role": TEXT,
            "rep": TEXT, "at": {**TEXT, "description": "when it happened, with a time zone; now without it"},
            "until": {**TEXT, "description": "for `unavailable`: a day or a moment; for `answered`, `requested` and `granted`: the first day on which it no longer applies"}, "reason": TEXT, "answer": TEXT, "by": TEXT, "activity": OBJECT,
        },
    },
    "Entry": {"type": "object", "required": ["number", "kind", "recorded"], "properties": {"number": {"type": "integer"}, "kind": TEXT, "recorded": TEXT}},
    "Feed": {
        "type": "object", "required": ["epoch", "entries", "next", "more"],
        "properties": {"epoch": TEXT, "entries": {"type": "array", "items": _ref("Entry")}, "next": {"type": "integer"}, "more": {"type": "boolean"}},
    },
    "Problem": {
        "type": "object", "required": ["type", "title", "status", "detail", "code"],
        "properties": {"type": TEXT, "title": TEXT, "status": {"type": "integer"}, "detail": TEXT, "code": TEXT, "help": TEXT},
        "description": "problem details (RFC 9457)",
    },
}  # fmt: skip

PARAMETERS: Json = {
    "entity": {"name": "entity", "in": "path", "required": True, "schema": TEXT, "example": "leads", "description": "an entity of the policy; `leads` and `lead` are one"},
    "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}},
    "run": {"name": "run", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "change": {"name": "key", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "plan": {"name": "plan", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
    "number": {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}},
    "key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}},
    "version": {"name": "Record-Version", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
                "description": "the record's version at its source: a whole number, or a moment with a time zone"},
    "after": {"name": "after", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 10**14}},
    "limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 500}},
    "kinds": {"name": "kinds", "in": "query", "schema": TEXT, "description": "kinds of entries, with commas"},
    "why_not": {"name": "why_not", "in": "query", "schema": TEXT, "description": "a rep, by id or name"},
    "state": {"name": "state", "in": "query", "schema": {"enum": ["waiting", "sent", "dead"]}},
}  # fmt: skip


def _operation(
    name: str, summary: str, scope: str, answer: Json | None = None, *, parameters: tuple[str, ...] = (), body: Json | None = None, status: tuple[str, ...] = ("200",)
) -> Json:  # fmt: skip
    made: Json = {"operationId": name, "summary": summary, "responses": {}}
    for code in status:
        made["responses"][code] = {"description": summary, "content": {"application/json": {"schema": answer or OBJECT}}}
    made["responses"]["default"] = {
        "description": "it cannot be done",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    if scope:
        made["security"] = [{"token": []}]
        made["description"] = f"Needs a token with the scope `{scope}`."
    if parameters:
        made["parameters"] = [{"$ref": f"#/components/parameters/{p}"} for p in parameters]
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return made


def _paths() -> Mapping[str, Json]:
    record = ("entity", "id")
    return {
        "/healthz": {"get": _operation("alive", "Whether the process is alive", "")},
        "/ready": {"get": _operation("ready", "Whether the service can write", "")},
        "/v1/events": {"post": _operation("event", "Report what happened to a record or a rep", "route", body=_ref("Event"), parameters=("key",))},
        "/v1/changes": {"get": _operation("changes", "Entries of the ledger after a number, in order", "read", _ref("Feed"), parameters=("after", "limit", "kinds"))},
        "/v1/held": {"get": _operation("held", "Records that wait for somebody able", "read")},
        "/v1/policy": {
            "get": _operation("policy", "The policy in force", "read"),
            "put": _operation("takePolicy", "Have the policy of the server's folder take over, or that of a git revision", "admin",
                              body={"type": "object", "properties": {"revision": TEXT}, "additionalProperties": False}),
        },
        "/v1/runs": {"get": _operation("runs", "The last runs, the newest first", "read", parameters=("limit",))},
        "/v1/runs/{run}/undo": {
            "get": _operation("wouldUndo", "What undoing a run would change", "read", parameters=("run",)),
            "post": _operation("undo", "Undo a run, as `roe undo` does", "admin", parameters=("run",),
                               body={"type": "object", "properties": {"by": TEXT, "reason": TEXT, "until": {**TEXT, "description": "the day until which the records stay with their former owners; default: 30 days"}}}),
        },
        "/v1/reviews": {"get": _operation("reviews", "The newest word on each change of the policy that somebody has reviewed", "read", parameters=("limit",))},
        "/v1/reviews/{key}": {"get": _operation("review", "Everything that was said of a change of the policy", "read", parameters=("change",))},
        "/v1/plans": {"get": _operation("plans", "The plans of books of whose moves somebody has said something, the newest first", "read")},
        "/v1/plans/{plan}": {"get": _operation("plan", "What was said of each move of a plan of books", "read", parameters=("plan",))},
        "/v1/shadow": {"get": _operation("shadow", "Where the candidate policy decides otherwise", "read", parameters=("limit",))},
        "/v1/pause": {
            "put": _operation("pause", "Stop webhooks and reassignments", "admin", body={"type": "object", "properties": {"reason": TEXT}, "additionalProperties": False}, parameters=("key",)),
            "delete": _operation("resume", "Go on", "admin"),
        },
        "/v1/letters": {"get": _operation("letters", "Webhooks that could not be delivered, or that wait or were sent", "admin", parameters=("state", "limit"))},
        "/v1/letters/{number}/send": {"post": _operation("sendAgain", "Send a dead letter again", "admin", parameters=("number",))},
        "/v1/decisions/{number}": {"get": _operation("decision", "A decision, with the policy that made it", "read", _ref("Entry"), parameters=("number",))},
        "/v1/reps/{id}": {
            "get": _operation("rep", "A rep's book, deadlines, and place in each pool", "read", parameters=("id",)),
        },
        "/v1/{entity}": {
            "post": _operation("route", "Find the owners of a record; a known one keeps its owners", "route", _ref("Answer"),
                               parameters=("entity", "key", "version"), body=_ref("Fields"), status=("200", "201")),
        },
        "/v1/{entity}/{id}": {
            "get": _operation("owners", "The owners of a record", "read", _ref("Answer"), parameters=record),
            "put": _operation("put", "Keep a record in the mirror", "write", _ref("Mirrored"), parameters=(*record, "key", "version"), body=_ref("Fields")),
            "patch": _operation("patch", "Change fields of a record in the mirror", "write", _ref("Mirrored"), parameters=(*record, "key", "version"), body=_ref("Fields")),
            "delete": _operation("delete", "Delete a record from the mirror", "write", _ref("Mirrored"), parameters=(*record, "key", "version")),
        },
        "/v1/{entity}/{id}/explain": {"get": _operation("explain", "Why a record has its owners, and why not somebody else", "read", parameters=(*record, "why_not"))},
        "/v1/{entity}/{id}/history": {"get": _operation("history", "The entries about a record, in order", "read", parameters=(*record, "after", "limit"))},
    }  # fmt: skip


@cache
def document() -> Json:
    scopes = "; ".join(f"`{name}`: {what}" for name, what in SCOPES.items())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "roe", "version": __version__,
            "description": "Who owns which record, why and until when. Webhooks of HubSpot, Salesforce and forms are described in docs/serve.md.",
        },
        "paths": dict(_paths()),
        "components": {
            "schemas": SCHEMAS, "parameters": PARAMETERS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": f"Scopes: {scopes}"}},
        },
    }  # fmt: skip
