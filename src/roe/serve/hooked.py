"""Webhooks that come in, over HTTP: the sender is checked, the messages are stored with what they change, then acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from roe.serve import intake
from roe.serve.bodies import checked
from roe.serve.desk import Desk
from roe.serve.hooks import forms, hubspot, salesforce
from roe.serve.hooks.model import Message, forged, same
from roe.serve.problems import Refused, unknown
from roe.serve.queue import answered
from roe.serve.requests import body_of, noted, server_of
from roe.serve.server import Server
from roe.serve.writer import Act, Job, Reply


async def from_hubspot(request: Request) -> Response:
    server = server_of(request)
    settings = server.settings
    if not settings.hubspot:
        raise unknown("webhooks of HubSpot are not set up", "set [hubspot] secret in serve.toml")
    body = await body_of(request)
    address = (
        (settings.address or str(request.base_url).rstrip("/")) + request.url.path + (f"?{request.url.query}" if request.url.query else "")
    )
    hubspot.verify(settings.hubspot, request.method, address, body, request.headers, server.time.now().timestamp())
    return JSONResponse(await _taken(request, server, "hubspot", hubspot.messages(body, settings.hubspot_objects)))


async def from_salesforce(request: Request) -> Response:
    """Records as JSON, signed like a form's."""
    server = server_of(request)
    if not server.settings.salesforce:
        raise unknown("webhooks of Salesforce are not set up", "set [salesforce] secret in serve.toml")
    body = await body_of(request)
    forms.verify([server.settings.salesforce], body, request.headers.get("x-signature", ""))
    return JSONResponse(await _taken(request, server, "salesforce", salesforce.records(body)))


async def outbound_message(request: Request) -> Response:
    """An outbound message. Its secret is in the address, which the log does not show."""
    noted(request, path="/v1/hooks/salesforce/outbound")
    server = server_of(request)
    settings = server.settings
    if not settings.salesforce or not settings.organization:
        raise unknown("outbound messages are not set up", "set [salesforce] secret and organization in serve.toml")
    if not same(settings.salesforce, request.path_params["secret"]):
        raise forged("the address has not the right secret", "give Salesforce the address with the secret")
    await _taken(request, server, "salesforce", salesforce.outbound(await body_of(request), settings.organization))
    return Response(salesforce.acknowledged(), media_type="text/xml")


async def from_form(request: Request) -> Response:
    server = server_of(request)
    form = server.settings.forms.get(request.path_params["name"])
    if form is None:
        raise unknown(f"there is no form `{request.path_params['name']}`", "set [forms.NAME] in serve.toml")
    body = await body_of(request)
    forms.verify(form.secrets, body, request.headers.get(form.header, ""))
    return JSONResponse(await _taken(request, server, f"form {form.name}", [forms.message(body, form.entity)]))


async def _taken(request: Request, server: Server, source: str, messages: Sequence[Message]) -> dict[str, object]:
    """Each message is a job of its own: one that is refused does not hold up the others, and one that came before changes nothing."""
    jobs = [
        Job(
            _act(m),
            [(m.entity, m.record)],
            message=(source, m.id, f"{m.entity}|{m.record}"),
            routes=[(m.entity, m.values)] if m.kind == "route" else (),
        )
        for m in messages
    ]
    answers = await asyncio.gather(*(answered(server.queue.submit(job)) for job in jobs))
    refused = [body for status, body, _ in answers if status >= 400]
    repeated = sum(1 for *_, old in answers if old)
    return {"received": len(messages), "repeated": repeated, "refused": refused}


def _act(message: Message) -> Act:
    def act(desk: Desk, at: datetime) -> Reply:
        entity = desk.entity(message.entity)
        if message.kind == "route":
            id = desk.route(entity, message.values, message.version, at)[0]
            return 200, lambda: desk.answer(entity, id)
        if message.kind == "delete":
            stale = intake.delete(desk, entity, message.record, message.version, at)
        else:
            try:
                stale = intake.patch(desk, entity, message.record, checked(message.values), message.version, at)
            except Refused as e:
                e.more["message"] = message.id
                raise
        return 200, lambda: {"entity": entity, "id": message.record, "stale": stale}

    return act


def routes() -> list[Route]:
    return [
        Route("/v1/hooks/hubspot", from_hubspot, methods=["POST"]),
        Route("/v1/hooks/salesforce", from_salesforce, methods=["POST"]),
        Route("/v1/hooks/salesforce/outbound/{secret}", outbound_message, methods=["POST"]),
        Route("/v1/hooks/forms/{name}", from_form, methods=["POST"]),
    ]
