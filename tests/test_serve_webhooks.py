"""Webhooks in and out: signatures, order, repetition, and addresses that nothing is sent to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook
from starlette.testclient import TestClient

from ledgers import STORES, place
from roe.ledger.store import open_store
from roe.serve import addresses, outbox
from roe.serve.app import build_app
from roe.serve.desk import Desk
from roe.serve.hooks import forms, hubspot, salesforce
from roe.serve.letters import DIGEST, KINDS, Receiver
from roe.serve.outbox import AGAIN, Sender
from roe.serve.problems import Refused
from roe.serve.server import Server
from roe.serve.settings import Form, Settings
from roe.serve.times import SetTime
from roe.serve.writer import Act, Reply
from services import MONDAY, policy, ready, receiving, service

SECRET = "whsec_" + base64.b64encode(b"a secret that only two know").decode()
NOW = MONDAY.timestamp()


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


# --- out --------------------------------------------------------------------------------------------------------------


def test_a_letter_is_signed_and_says_what_was_decided(state: str, tmp_path: Path) -> None:
    with receiving() as there:
        crm = Receiver("crm", there.url, (SECRET,), ("assigned",), private=True)
        with service(state, tmp_path, receivers=(crm,)) as desk, open_store(state) as store:
            answer = desk.route("L1", email="a@x.com")
            Sender(lambda: store, [crm], desk.time).send_due(store)
            headers, body = there.got[0]
            made = Webhook(SECRET).sign(headers["webhook-id"], desk.time.at, body.decode())
            assert made in headers["webhook-signature"].split() and headers["webhook-timestamp"] == str(int(NOW))
            said = json.loads(body)
            assert (said["type"], said["data"]["id"], said["data"]["owner"]) == ("assigned", "L1", "ann")
            assert said["data"]["decision"] == answer["decision"] and said["data"]["sentence"] == answer["sentence"]


def test_scenario_21_a_receiver_that_is_down_for_three_days(state: str, tmp_path: Path) -> None:
    """Every letter comes at least once, with one id, in order for each record; what stays undelivered can be sent again."""
    with receiving() as there:
        crm = Receiver("crm", there.url, (SECRET,), ("assigned", "missed"), private=True)
        with service(state, tmp_path, receivers=(crm,)) as desk, open_store(state) as store:
            sender = Sender(lambda: store, [crm], desk.time)
            for n in range(3):
                desk.route(f"L{n}", email=f"a@x{n}.com")
            desk.after(hours=2)  # each is missed, and assigned to the next
            there.answers = [503] * 1000
            for _ in range(10):
                desk.time.at += timedelta(days=3) / 20
                sender.send_due(store)
            assert {json.loads(body)["data"]["owner"] for _, body in there.got} <= {"ann", "ben", "cid"}
            assert len({h["webhook-id"] for h, _ in there.got}) == 3  # the second of each record waits for its first
            tried = len(there.got)
            there.answers = []
            for _ in range(12):
                desk.time.at += timedelta(hours=10)
                sender.send_due(store)
            ids = [h["webhook-id"] for h, _ in there.got[tried:]]
            assert len(ids) == len(set(ids)) == 9 and not outbox.letters(store, "dead", 100)
            of_record = [d["owner"] for d in there.data()[tried:] if d["id"] == "L0"]
            assert of_record[0] == "ann" and of_record[1] != "ann"
            desk.route("L9", email="a@x9.com")
            there.answers = [500] * 100
            for wait in (0, *AGAIN):
                desk.time.at += timedelta(milliseconds=wait)
                sender.send_due(store)
            dead = [x for x in outbox.letters(store, "dead", 100) if x["subject"] == "lead|L9"]
            assert [(x["subject"], x["problem"]) for x in dead] == [("lead|L9", "the receiver answered 500")]
            there.answers = []
            assert outbox.again(store, dead[0]["number"], int(desk.time.at.timestamp() * 1000))
            sender.send_due(store)
            assert (
                there.got[-1][0]["webhook-id"] == f"msg_{dead[0]['number']}"
                and len([x for x in outbox.letters(store, "dead", 100) if x["subject"] == "lead|L9"]) == 0
            )


def test_each_rep_is_told_once_a_day_what_is_new_and_what_is_gone(state: str, tmp_path: Path) -> None:
    people = Receiver("people", "smtp://mail.example.com", (), ("digest",), "email", to="ops@example.com")
    crm = Receiver("crm", "https://crm.example.com", (SECRET,), ("digest",))
    with service(state, tmp_path, receivers=(people, crm)) as desk:
        desk.patch("rep", "ann", email="ann@example.com")
        for n in range(3):
            desk.route(f"L{n}", email=f"a@x{n}.com")
        desk.patch("lead", "L0", owner_sdr="ben")
        desk.patch("lead", "L1", owner_sdr="ann")
        desk.patch("lead", "L1", owner_sdr="ben")  # it came back, and is only new
        for n in range(3):
            desk.do(ended(f"lead|L{n}|sdr"))
        desk.to(datetime(2026, 3, 3, 4, 59, tzinfo=UTC))
        assert outbox_rows(desk) == []
        desk.to(datetime(2026, 3, 3, 5, 0, tzinfo=UTC))  # six o'clock in Berlin
        first = {(receiver, subject): json.loads(body) for receiver, subject, body in outbox_rows(desk)}
        assert {subject: ids(first["crm", subject]) for receiver, subject in first if receiver == "crm"} == {
            "rep|ben": (["L0", "L1"], []), "rep|cid": (["L2"], []),
        }  # fmt: skip
        assert first["people", "rep|cid"]["to"] == "ops@example.com"
        desk.patch("lead", "L2", owner_sdr="ann")
        desk.to(datetime(2026, 3, 4, 5, 0, tzinfo=UTC))
        second = {(receiver, subject): json.loads(body) for receiver, subject, body in outbox_rows(desk)[len(first) :]}
        assert {subject: ids(second["crm", subject]) for receiver, subject in second if receiver == "crm"} == {
            "rep|ann": (["L2"], []), "rep|cid": ([], ["L2"]),
        }  # fmt: skip
        assert second["people", "rep|ann"]["to"] == "ann@example.com" and "Ann has it" in second["people", "rep|cid"]["text"]
        desk.to(datetime(2026, 3, 5, 5, 0, tzinfo=UTC))
        assert len(outbox_rows(desk)) == len(first) + len(second)


def ended(key: str) -> Act:
    """An act that ends the timer of a record."""

    def act(desk: Desk, at: datetime) -> Reply:
        desk.schedule(key, None)
        return 200, dict

    return act


def ids(letter: dict[str, Any]) -> tuple[list[str], list[str]]:
    return [x["id"] for x in letter["data"]["gained"]], [x["id"] for x in letter["data"]["lost"]]


def outbox_rows(desk: Any) -> list[Any]:
    with open_store(desk.state) as store:
        return [tuple(x) for x in store.db.rows("SELECT receiver, subject, body FROM outbox ORDER BY number")]


def test_every_kind_of_letter_is_documented() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "serve.md").read_text("utf-8")
    rows = [line for line in documented.splitlines() if line.startswith("| `")]
    assert not [kind for kind in KINDS if not any(f"`{kind}`" in row.split("|")[1] for row in rows)]
    assert f'kinds = ["{DIGEST}"]' in documented


def test_the_retries_span_three_days() -> None:
    assert timedelta(days=3) <= timedelta(milliseconds=sum(AGAIN)) < timedelta(days=3, hours=1)


def test_a_receiver_that_is_gone_is_not_asked_again(tmp_path: Path) -> None:
    with receiving() as there:
        crm = Receiver("crm", there.url, (SECRET,), private=True)
        with service(str(tmp_path / "s"), tmp_path, receivers=(crm,)) as desk, open_store(desk.state) as store:
            desk.route("L1", email="a@x.com")
            there.answers = [410]
            Sender(lambda: store, [crm], desk.time).send_due(store)
            assert len(outbox.letters(store, "dead", 10)) == 1


def test_two_senders_send_each_letter_once(state: str, tmp_path: Path) -> None:
    with receiving() as there:
        crm = Receiver("crm", there.url, (SECRET,), ("assigned",), private=True)
        with service(state, tmp_path, receivers=(crm,)) as desk:
            for n in range(20):
                desk.route(f"L{n}", email=f"a@x{n}.com")

            def send() -> None:
                with open_store(state) as store:
                    sender = Sender(lambda: store, [crm], desk.time)
                    while sender.send_due(store):
                        pass

            threads = [threading.Thread(target=send) for _ in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert sorted(d["id"] for d in there.data()) == sorted(f"L{n}" for n in range(20))


def test_paused_nothing_is_sent(tmp_path: Path) -> None:
    with receiving() as there:
        crm = Receiver("crm", there.url, (SECRET,), private=True)
        with service(str(tmp_path / "s"), tmp_path, receivers=(crm,)) as desk, open_store(desk.state) as store:
            desk.route("L1", email="a@x.com")

            def pause(d: Any, at: Any) -> Any:
                d.state.put("pause", "all", {"by": "me"})
                return 200, dict

            desk.do(pause)
            assert Sender(lambda: store, [crm], desk.time).send_due(store) == 0 and not there.got


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.9.9", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "fc00::1",
     "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "255.255.255.255", "198.18.0.1"],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    assert not addresses.is_public(address)
    with pytest.raises(addresses.Forbidden):
        addresses.target("https://innocent.example/hook", find=lambda host, port: ["93.184.216.34", address])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_public_addresses_are_public(address: str) -> None:
    assert addresses.is_public(address)


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """A name that answers with a public address first and a private one afterwards is asked once."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    to = addresses.target("https://rebind.example:8443/hook?x=1", find=rebinding)
    assert (to.address, to.host, to.port, to.path) == ("93.184.216.34", "rebind.example", 8443, "/hook?x=1") and len(asked) == 1


@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://example.com/", "https://user:pw@example.com/", "https:///x", "file:///etc/passwd"]
)
def test_addresses_that_are_not_https_are_refused(url: str) -> None:
    with pytest.raises(addresses.Forbidden):
        addresses.target(url, find=lambda host, port: ["93.184.216.34"])


# --- in ---------------------------------------------------------------------------------------------------------------


def test_hubspots_signature_is_that_of_its_documentation() -> None:
    body, stamp, url = b'[{"eventId":1}]', str(int(NOW * 1000)), "https://roe.example.com/v1/hooks/hubspot?x=a%2Fb"
    signed = "POST" + "https://roe.example.com/v1/hooks/hubspot?x=a/b" + body.decode() + stamp
    expected = base64.b64encode(hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-hubspot-signature-v3": expected, "x-hubspot-request-timestamp": stamp}
    hubspot.verify("secret", "POST", url, body, headers, NOW)
    for wrong in (
        {"x-hubspot-signature-v3": "x"},
        {"x-hubspot-request-timestamp": str(int((NOW - 301) * 1000))},
        {"x-hubspot-request-timestamp": "soon"},
    ):
        with pytest.raises(Refused) as e:
            hubspot.verify("secret", "POST", url, body, {**headers, **wrong}, NOW)
        assert e.value.status == 401
    with pytest.raises(Refused):
        hubspot.verify("secret", "POST", url, body + b" ", headers, NOW)


@contextmanager
def hooked(state: str, tmp_path: Path, **more: Any) -> Iterator[TestClient]:
    settings = Settings(policy(tmp_path / "policy"), state, address="https://roe.example.com", **more)
    server = Server(settings, SetTime(MONDAY))
    with TestClient(build_app(server), raise_server_exceptions=False) as client:
        ready(server)
        client.put("/v1/reps/ann", json={"name": "Ann", "role": "SDR", "active": "yes"})
        yield client


def from_hubspot(client: TestClient, events: list[dict[str, Any]], secret: str = "secret", late: float = 0) -> Any:
    """A batch as HubSpot sends it, or as somebody repeats it who has seen it `late` seconds ago."""
    body, stamp = json.dumps(events).encode(), str(int((NOW - late) * 1000))
    signed = hubspot.signature(secret, "POST", "https://roe.example.com/v1/hooks/hubspot", body, stamp)
    return client.post("/v1/hooks/hubspot", content=body, headers={"x-hubspot-signature-v3": signed, "x-hubspot-request-timestamp": stamp})


def change(id: int, at: int, name: str, value: str, event: int = 1) -> dict[str, Any]:
    return {
        "eventId": event, "subscriptionId": 1, "portalId": 7, "subscriptionType": "company.propertyChange", "objectId": id, "occurredAt": at,
        "propertyName": name, "propertyValue": value,
    }  # fmt: skip


def test_scenario_20_webhooks_that_come_twice_out_of_order_forged_and_late(state: str, tmp_path: Path) -> None:
    form = Form("website", ("key",))
    with (
        hooked(state, tmp_path, hubspot="secret", forms={"website": form}) as client,
        hooked(state, tmp_path, forms={"website": form}) as two,
    ):
        newer = [change(5, 2000, "name", "New"), change(5, 1500, "city", "Bonn")]
        assert from_hubspot(client, newer).json() == {"received": 2, "repeated": 0, "refused": []}
        assert from_hubspot(client, [change(5, 1000, "name", "Old", 2), *newer]).json()["repeated"] == 2
        assert from_hubspot(client, [change(5, 9000, "name", "Forged", 3)], "guess").status_code == 401
        assert from_hubspot(client, [change(5, 9500, "name", "Repeated later", 5)], late=301).status_code == 401
        again = from_hubspot(client, [{**change(5, 1900, "", "", 4), "subscriptionType": "company.deletion"}]).json()
        assert again["refused"] == []  # it was changed after that: the deletion is stale
        with open_store(state) as store:
            fields = json.loads(store.db.rows("SELECT fields FROM mirror WHERE entity = 'account'")[0][0])
        assert (fields["name"], fields["city"]) == ("New", "Bonn")
        body = json.dumps({"email": "ada@acme.com", "form": "demo"}).encode()
        signed = {"X-Signature": hmac.new(b"key", body, hashlib.sha256).hexdigest()}
        with ThreadPoolExecutor(12) as pool:  # one message, again and again, at both servers at once
            sent = [pool.submit((client, two)[n % 2].post, "/v1/hooks/forms/website", content=body, headers=signed) for n in range(12)]
            said = [x.result().json() for x in sent]
        assert sorted(x["repeated"] for x in said) == [0] + [1] * 11
        assert [e["kind"] for e in client.get("/v1/changes", params={"kinds": "owned,turn"}).json()["entries"]] == ["owned", "turn"]


SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body><notifications xmlns="http://soap.sforce.com/2005/09/outbound"><OrganizationId>{org}</OrganizationId>
  <Notification><Id>04l000000000001AAA</Id><sObject xsi:type="sf:Account" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
   <sf:Id>001000000000001AAA</sf:Id><sf:Name>Acme &amp; Co</sf:Name><sf:LastModifiedDate>2026-03-01T10:00:00.000Z</sf:LastModifiedDate>
  </sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>"""


def test_an_outbound_message_is_stored_and_acknowledged(state: str, tmp_path: Path) -> None:
    with hooked(state, tmp_path, salesforce="geheim", organization="00D000000000001") as client:
        body = SOAP.format(org="00D000000000001").encode()
        for _ in range(2):
            answer = client.post("/v1/hooks/salesforce/outbound/geheim", content=body, headers={"Content-Type": "text/xml"})
            assert answer.status_code == 200 and "<Ack>true</Ack>" in answer.text
        assert client.post("/v1/hooks/salesforce/outbound/guess", content=body).status_code == 401
        assert client.post("/v1/hooks/salesforce/outbound/geheim", content=SOAP.format(org="00D000000000002").encode()).status_code == 401
        with open_store(state) as store:
            assert json.loads(store.db.rows("SELECT fields FROM mirror WHERE entity = 'account'")[0][0])["Name"] == "Acme & Co"
            assert len(store.db.rows("SELECT 1 FROM inbox")) == 1


@pytest.mark.parametrize(
    "body",
    [b"<a>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', b"", b"\xff\xfe<a/>", b"<a/>"],
)
def test_xml_that_could_do_harm_or_means_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as e:
        salesforce.outbound(body, "00D000000000001")
    assert e.value.status in (400, 422)


def test_a_form_is_routed_once_however_often_it_is_sent(state: str, tmp_path: Path) -> None:
    form = Form("website", ("old", "new"))
    with hooked(state, tmp_path, forms={"website": form}) as client:
        body = json.dumps({"email": "ada@acme.com", "form": "demo"}).encode()
        for secret in ("old", "new"):
            signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            assert client.post("/v1/hooks/forms/website", content=body, headers={"X-Signature": f"sha256={signed}"}).status_code == 200
        assert client.post("/v1/hooks/forms/website", content=body, headers={"X-Signature": "0" * 64}).status_code == 401
        assert client.post("/v1/hooks/forms/other", content=body).status_code == 404
        turns = client.get("/v1/changes", params={"kinds": "turn"}).json()["entries"]
        assert len(turns) == 1 and turns[0]["record"]


def test_a_form_takes_both_ways_of_writing_a_signature() -> None:
    made = hmac.new(b"s", b"{}", hashlib.sha256).digest()
    for text in (made.hex(), f"sha256={made.hex()}", base64.b64encode(made).decode()):
        forms.verify(["s"], b"{}", text)
    for text in ("", "sha256=", "ü", made.hex()[:-1]):
        with pytest.raises(Refused):
            forms.verify(["s"], b"{}", text)


ODD = (
    b"{", b"null", b"[[]]", b'"x"', b"[" * 100_000, b"\xff{}", b'{"Id": "a", "email": "\\ud800"}', b'{"email": "a\\u0000b"}', b'{"email": NaN}', b'{"email": 1e999}',
    b'{"email": "a", "email": "b"}', b'{"email": "a", "Email": "b"}', b'{"$line": 1}', b'{"": 1}', b'{"id": "a|b", "email": "x@y.com"}',
    json.dumps({"id": "x" * 300, "email": "x@y.com"}).encode(), json.dumps({"email": "x" * 40_000}).encode(), json.dumps({"email": {"a": 1}}).encode(),
    json.dumps({f"f{n}": n for n in range(501)}).encode(), b'{"id": ' + b"9" * 5000 + b"}", b'{"id": true}', b"{}",
)  # fmt: skip


def test_a_signed_body_that_makes_no_record_is_refused_with_a_next_step(state: str, tmp_path: Path) -> None:
    """What is signed may be odd all the same: somebody has typed it into a form or a CRM."""
    with hooked(state, tmp_path, forms={"website": Form("website", ("key",))}, salesforce="key", hubspot="key") as client:
        for body in ODD:
            signed = hmac.new(b"key", body, hashlib.sha256).hexdigest()
            answer = client.post("/v1/hooks/forms/website", content=body, headers={"X-Signature": signed})
            assert answer.status_code in (400, 422) or answer.json()["refused"], (body[:60], answer.text)
            refused = answer.json() if answer.status_code >= 400 else answer.json()["refused"][0]
            assert refused["code"] and refused["detail"] and refused["help"], answer.text
            row = b'{"attributes": {"type": "Lead"}, "Id": "00Q1", ' + body[1:] if body[:1] == b"{" and len(body) > 2 else body
            signed = hmac.new(b"key", row, hashlib.sha256).hexdigest()
            answer = client.post("/v1/hooks/salesforce", content=row, headers={"X-Signature": signed})
            assert answer.status_code < 500, (row[:90], answer.text)
        for value in ({"a": 1}, [1], "x" * 40_000, "a\0b", "\ud800", 10**400, True, None):
            for name in ("name", "", "$line", "id", "x" * 10_000):
                answer = from_hubspot(client, [{**change(5, 1000, name, ""), "propertyValue": value}], "key")
                assert answer.status_code < 500, (name, value, answer.text)
        odd: dict[str, Any]
        for odd in ({"objectId": "a|b"}, {"objectId": "x" * 300}, {"eventId": "\0"}, {"portalId": {"a": []}}, {"subscriptionType": ["x"]}):
            answer = from_hubspot(client, [{**change(5, 1000, "name", "a"), **odd}], "key")
            assert answer.status_code < 500, odd
            assert "objectId" not in odd or answer.json()["refused"][0]["help"], odd
        late = {"x-hubspot-signature-v3": "x", "x-hubspot-request-timestamp": "9" * 5000}
        assert client.post("/v1/hooks/hubspot", content=b"[]", headers=late).status_code == 401
        assert client.get("/ready").status_code == 200 and client.get("/v1/changes").status_code == 200
