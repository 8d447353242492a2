"""Once a day each rep is told which records are the rep's now, and which are somebody else's: one letter, whatever happened in between.

What has moved since the last digest is kept by record and role, with the owner from before. A record that came back is not told.
"""

from __future__ import annotations

import json
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from roe.dynamic import Json
from roe.grammar.values import existing
from roe.serve.letters import DIGEST, Receiver
from roe.serve.store import Letter
from roe.serve.times import millis

if TYPE_CHECKING:
    from roe.serve.desk import Desk

KEY = "digest||all"  # the timer
AT = time(6)  # o'clock in the policy's time zone


def wanted(desk: Desk) -> list[Receiver]:
    return [receiver for receiver in desk.receivers if receiver.wants(DIGEST)]


def moved(desk: Desk, key: str, before: str | None, now: str | None, at: datetime) -> None:
    """Note that a record has another owner, to be told with the next digest."""
    if before == now or not wanted(desk):
        return
    known = desk.state.get("moved", key)
    first = known["from"] if known is not None else before
    desk.state.put("moved", key, None if first == now else {"from": first})
    if desk.state.get("timer", KEY) is None:
        desk.schedule(KEY, {"due": _next(desk, at).isoformat(), "kind": "digest"})


def _next(desk: Desk, at: datetime) -> datetime:
    here = at.astimezone(desk.tz)
    day = here.date() if here.time() < AT else here.date() + timedelta(days=1)
    return existing(datetime.combine(day, AT, desk.tz))


def send(desk: Desk, at: datetime) -> None:
    """Write a letter to every rep who has got or lost something, for each receiver that wants digests."""
    by_rep: dict[str, dict[str, list[Json]]] = {}
    for key, what in sorted(desk.state.all("moved").items()):
        entity, id, role = key.split("|", 2)
        owner = desk.state.get("owner", key)
        now = None if owner is None else owner["owner"]
        row = desk.records.row(entity, id)
        about = {"entity": entity, "id": id, "role": role, "name": row.label if row is not None else id}
        if owner is not None and now is not None:
            gained = {**about, "from": what["from"], "sentence": owner["sentence"]}
            by_rep.setdefault(now, {"gained": [], "lost": []})["gained"].append(gained)
        if what["from"] is not None:
            by_rep.setdefault(what["from"], {"gained": [], "lost": []})["lost"].append({**about, "to": now})
    for receiver in wanted(desk):
        for rep, lists in sorted(by_rep.items()):
            desk.writes.letters.append(_letter(desk, receiver, rep, lists, at))
    if wanted(desk):
        for key in list(desk.state.all("moved")):
            desk.state.put("moved", key, None)


def _letter(desk: Desk, receiver: Receiver, rep: str, lists: dict[str, list[Json]], at: datetime) -> Letter:
    name, row = desk.records.rep_name(rep), desk.records.row("rep", rep)
    subject = f"{name}: {len(lists['gained'])} new, {len(lists['lost'])} gone"
    lines = [f"+ {x['entity']} {x['name']}: {x['sentence']}" for x in lists["gained"]]
    lines += [f"- {x['entity']} {x['name']}: {desk.records.rep_name(x['to'])} has it now" for x in lists["lost"]]
    address = str(row["email"] or "") if row is not None else ""
    body = {
        "json": {"type": DIGEST, "timestamp": at.isoformat(), "data": {"rep": rep, "name": name, **lists}},
        "slack": {"text": "\n".join([f"*{subject}*", *lines])},
        "email": {"to": address or receiver.to, "subject": subject, "text": "\n".join(lines) + "\n"},
    }[receiver.form]
    number = desk.state.count("letter")
    return Letter(number, receiver.name, DIGEST, f"rep|{rep}", json.dumps(body, ensure_ascii=False), millis(at))
