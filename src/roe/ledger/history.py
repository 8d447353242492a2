"""The history of a record as a story: what happened, when, and why, one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

from roe.dynamic import Json, Value, Values
from roe.ledger import entries as e
from roe.ledger.entries import Evidence, Owned, RunEntry
from roe.ledger.entry import Entry, Stored
from roe.ledger.holdings import Holding, InBook
from roe.ledger.moment import At
from roe.ledger.store import Store

Day = Callable[[At], str]
NO_NAMES: Mapping[str, str] = {}
QUIET = ("evidence", "standing")  # what no reader wants a line for


@dataclass(frozen=True, slots=True)
class StoryLine:
    """`role` is the role, field, event or credit that it is about; `what` happened, `because` of what."""

    stored: Stored
    when: str
    role: str
    what: str
    because: str

    def as_json(self) -> Json:
        x = self.stored
        return {
            "number": x.number, "at": str(x.entry.at), "recorded": x.recorded.isoformat(timespec="seconds"), "kind": x.kind,
            **{f.name: _plain(getattr(x.entry, f.name)) for f in fields(x.entry) if f.name != "at"}, "what": self.what, "because": self.because,
        }  # fmt: skip


def _plain(value: object) -> object:
    return str(value) if isinstance(value, At) else list(value) if isinstance(value, tuple) else value


def entities_of(store: Store, record: str) -> list[str]:
    """The entities in which the ledger knows a record of this id; reps and claims are only named by others."""
    rows = store.db.rows("SELECT entity FROM subject WHERE record = ? ORDER BY id", (record,))
    return [x for (id_,) in rows if (x := store.words.text(id_)) not in ("rep", "claim")]


def called(store: Store, text: str) -> list[tuple[str, str]]:
    """(entity, id) of the records that answer to a name, a domain or an e-mail address, as the evidence of decisions has them."""
    wanted = text.lower()
    records: dict[tuple[str, str], None] = {}
    for x in store.newest(Evidence):
        if wanted in (str(x.values.get("name", "")).lower(), *x.values.get("called", ())):
            records[x.entity, x.record] = None
    return list(records)


def names_of(evidence: Iterable[Evidence]) -> dict[str, str]:
    """What reps are called, by id, as the evidence of decisions has it. Of several with one name each keeps the id beside it."""
    names: dict[str, str] = {}
    for x in evidence:
        names |= x.values.get("names", {})
    times = Counter(names.values())
    return {rep: name if times[name] == 1 else f"{name} ({rep})" for rep, name in names.items()}


def rep_called(store: Store, text: str) -> str:
    """The id of the rep whom a text means: that id, else the one rep of that name in the evidence of decisions."""
    if store.words.subject("rep", text) is None:
        names = names_of(store.newest(Evidence))
        return next((rep for rep, name in names.items() if name.lower() == text.lower()), text)
    return text


def _named(entry: Entry, name: Callable[[str], str]) -> Entry:
    """An entry with names in place of the ids of reps."""
    known: Values = {field: name(rep) for field in ("rep", "former") if (rep := getattr(entry, field, None))}
    return replace(entry, **known) if known else entry


def story(
    store: Store, entity: str, record: str, *, role: str = "", rep: str = "", since: date | None = None, names: Mapping[str, str] = NO_NAMES
) -> list[StoryLine]:
    """What the ledger has of a record, in the order in which it held; of one role, about one rep, or from a day on.

    `names` says what reps are called, where ids are not to be shown.
    """
    lines = []
    for x in sorted(store.of_record(entity, record), key=lambda x: (x.entry.at.instant, x.number)):
        if x.kind in QUIET or (since is not None and x.entry.at.date < since):
            continue
        named = getattr(x.entry, x.entry.NAME, "")
        if (role and named != role) or (rep and rep not in (getattr(x.entry, "rep", None), getattr(x.entry, "former", None))):
            continue
        what, reason = told(x.entry, lambda rep: names.get(rep, rep))
        lines.append(StoryLine(x, str(x.entry.at) if x.entry.at.day else f"{x.entry.at.local:%Y-%m-%d %H:%M}", named, what, reason))
    return lines


def _plain_day(at: At) -> str:
    return str(at.date)


def told(entry: Entry, name: Callable[[str], str] = str, day: Day = _plain_day) -> tuple[str, str]:
    """What happened, and because of what. `name` says what a rep of an id is called, `day` how a moment is written."""
    tell = _TOLD.get(entry.KIND)
    return tell(_named(entry, name), day) if tell is not None else (entry.KIND, "")


def _who(rep: str | None, queue: str = "") -> str:
    return rep if rep is not None else f"the queue {queue}" if queue else "nobody"


def _until(until: At | None, day: Day) -> str:
    return f", until {day(until)}" if until is not None else ""


def _owned(x: e.Owned, day: Day) -> tuple[str, str]:
    who = _who(x.rep, x.queue)
    if x.by == "import" and x.since_unknown:
        what = f"{who} has it when roe first sees it; since when is not known"
    elif x.by == "import":
        what = f"{who} has it, as the CRM says"
    elif x.rep is None and not x.queue:
        what = f"nobody has it any more; {x.former} had it" if x.former else "nobody has it"
    elif x.action == "refer":
        what = f"{who} has it while a person decides"
    elif x.action == "keep" or (x.former == x.rep and x.rep is not None):
        what = f"{who} keeps it"
    else:
        what = f"{who} takes over from {x.former}" if x.former else f"{who} gets it"
    return what + _until(x.until, day), _cause(x)


def _cause(x: e.Owned) -> str:
    cause = {
        "hand": "changed in the CRM by hand", "system": f"changed in the CRM by {x.system or 'a system'}", "import": "", "claim": "by a claim",
        "conversion": "the record was converted", "correction": "a correction", "undo": "a run was undone", "exception": "an approved exception",
        "book": "by its book", "pool": f"the pool `{x.pool}`" if x.pool else "by a pool",
    }.get(x.by, f"rule `{x.rule}`" if x.rule else "")  # fmt: skip
    cause = f"rule `{x.rule}`" if x.by in ("pool", "book", "claim") and x.rule else cause
    cause += f", undoing entry {x.undoes}" if x.undoes else ""
    return ": ".join(part for part in (cause, x.sentence) if part)


def _turn(x: e.Turn, day: Day) -> tuple[str, str]:
    if x.back or x.credit == e.ASKED:
        return f"{_who(x.rep)} keeps it", "the turn is given back" if x.back else "the next run gives the turn back"
    what = f"the pool `{x.pool}` gives it to {_who(x.rep)}" + (f" as turn {x.number}" if x.number else "")
    return what + (f", to be worked by {x.until.local:%Y-%m-%d %H:%M}" if x.until is not None else ""), x.why


def _claimed(x: e.Claimed, day: Day) -> tuple[str, str]:
    who = x.by or _who(x.rep)
    if x.status == "refused":
        return f"the claim {x.claim or ''} by {who} is refused".replace("  ", " "), x.reason
    return (f"the claim of {who} ends" if x.status == "ended" else f"{_who(x.rep)} claims it{_until(x.until, day)}"), x.reason


_TOLD: dict[str, Callable[[Value, Day], tuple[str, str]]] = {  # each takes an entry of its kind
    "run": lambda x, day: (f"{x.what} of {x.policy}" + (f", {x.engine}" if x.engine else ""), f"accepted: {x.accepted}" if x.accepted else ""),
    "activated": lambda x, day: (f"the policy {x.policy} is in force", f"by {x.by}" if x.by else ""),
    "standing": lambda x, day: (f"the pool `{x.pool}` has given {x.turns} turns", ""),
    "cycle": lambda x, day: (f"the cycle {x.cycle} of the book `{x.book}`", ""),
    "owned": _owned,
    "turn": _turn,
    "claimed": _claimed,
    "loaded": lambda x, day: (f"the CRM has {_who(x.rep, x.queue)}", ""),
    "refused": lambda x, day: ("the CRM refuses to load the decision", x.reason),
    "turn-back": lambda x, day: (f"the turn of {_who(x.rep)} is given back to the pool `{x.pool}`", x.reason),
    "returned": lambda x, day: (f"{_who(x.rep)} gives it back" + (f"; it can be claimed again from {day(x.until)} on" if x.until else ""), x.reason),
    "referred": lambda x, day: (f"{x.to or x.rep or 'somebody'} must decide" + (f" by {day(x.until)}" if x.until else "") + (" (escalated)" if x.step else ""), x.sentence),
    "answered": lambda x, day: ("nobody has decided in time" if x.lapsed else f"{x.by} has decided: {x.answer}" if x.by else x.answer, ""),
    "frozen": lambda x, day: (f"{x.field} is frozen at {x.value} for the period from {x.on}", ""),
    "raised": lambda x, day: (f"the event `{x.event}` {'is raised' if x.up else 'is over'}", ""),
    "seen": lambda x, day: (f"{x.field} is {x.value}" + (f", was {x.before}" if x.before is not None else ""), ""),
    "merged": lambda x, day: (f"it is merged into {x.survivor}", ""),
    "deleted": lambda x, day: ("it is missing in complete data" if x.missing else "it is deleted", ""),
    "restored": lambda x, day: ("it is back", ""),
    "requested": lambda x, day: (f"{x.by or 'somebody'} asks for an exception: {_who(x.rep)} has it{_until(x.until, day)}", x.reason),
    "excepted": lambda x, day: (
        f"{x.by or 'somebody'} grants an exception: {_who(x.rep)} has it{_until(x.until, day)}" if x.up else f"{x.by or 'somebody'} ends the exception",
        x.reason,
    ),
    "declined": lambda x, day: (f"{x.by or 'somebody'} declines the request for an exception", x.reason),
    "away": lambda x, day: (f"takes no records{' from ' + x.start if x.start else ''}{_until(x.until, day)}" if x.up else "takes records again", x.reason),
    "weighed": lambda x, day: (f"{x.by or 'somebody'} {'accepts' if x.accepted else 'holds back'} the planned move in the book `{x.book}`", x.reason),
    "reviewed": lambda x, day: (f"{x.by or 'somebody'} has {x.verdict}{' on' if x.verdict == 'commented' else ''} the policy change", x.comment),
    "placed": lambda x, day: (f"{_who(x.rep)} has it in the book `{x.book}`" if x.rep else f"it is in nobody's book `{x.book}`", x.reason),
}  # fmt: skip


# --- a day ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OnDay:
    """Who had a record in a role on a day: as it was, and as roe knew it that night; the run that decided last, or None before the first."""

    role: str
    was: Holding | None
    known: Holding | None
    run: Stored | None


def runs_until(store: Store, day: At) -> list[Stored]:
    """The runs whose as-of is not after a day. Services and imports are not nights, but their as-of counts alike."""
    end = At.of(day.date + timedelta(days=1), day.zone).instant
    return [x for x in store.runs() if x.entry.at.instant < end]


def last_decider(runs: Sequence[Stored]) -> Stored | None:
    """The last of some runs that decided by a policy: imports and adjustments do not."""
    return next((x for x in reversed(runs) if isinstance(x.entry, RunEntry) and x.entry.digest), runs[-1] if runs else None)


def last_number(store: Store, run: Stored) -> int:
    return int(store.db.rows("SELECT last FROM run WHERE number = ?", (run.number,))[0][0])


def on_day(store: Store, entity: str, record: str, day: date, role: str = "") -> list[OnDay]:
    """Every role of a record on a day: at its end, in the zone in which the ledger's entries are meant."""
    past = store.history_of(entity, record)
    zone = past[-1].start.zone if past else "UTC"
    moment = At(At.of(day + timedelta(days=1), zone).instant - 1, False, zone)
    runs = runs_until(store, At.of(day, zone))
    roles = []
    for name in dict.fromkeys(h.role for h in past):
        if not role or name == role:
            was = _as_of(store, store.holding(entity, record, name, moment), moment)
            known = store.holding(entity, record, name, moment, known=last_number(store, runs[-1])) if runs else None
            roles.append(OnDay(name, was, known, last_decider(runs)))
    return roles


def _as_of(store: Store, h: Holding | None, moment: At) -> Holding | None:
    """A holding with the rule and the end that it had at a moment; by now another rule may have confirmed it."""
    if h is None:
        return None
    decisions = [
        x.entry for x in store.of_record(h.entity, h.record, ("owned",)) if x.number >= h.entry and x.entry.at.instant <= moment.instant
    ]
    of_role = [d for d in decisions if isinstance(d, Owned) and d.role == h.role and d.rep == h.rep]
    d = of_role[-1] if of_role else None
    return h if d is None else replace(h, rule=d.rule, action=d.action, pool=d.pool, until=d.until)


@dataclass(frozen=True, slots=True)
class DecidedOn:
    """The newest decision about a role of a record as of a day, the run that made it, and its evidence; None for what there is not.
    `last` is the last run up to that day, if it is a later one: it left the decision as it was.
    """

    role: str
    decision: Stored | None
    evidence: Stored | None
    run: Stored | None
    last: Stored | None = None


def decided_on(store: Store, entity: str, record: str, day: date, role: str = "") -> list[DecidedOn]:
    """What the runs up to the end of a day had decided about each role of a record, as roe knew it that night."""
    entries = store.of_record(entity, record, ("owned", "referred", "evidence"))
    if not entries:
        return []
    runs = runs_until(store, At.of(day, entries[0].entry.at.zone))
    upto, last = last_number(store, runs[-1]) if runs else 0, last_decider(runs)
    decided = []
    for name in dict.fromkeys(str(getattr(x.entry, "role", "")) for x in entries):
        own = [x for x in entries if getattr(x.entry, "role", "") == name and x.number <= upto]
        decisions = [x for x in own if x.kind != "evidence"]
        if (role and name != role) or not own:
            continue
        decision = decisions[-1] if decisions else None
        evidence = next((x for x in reversed(own) if x.kind == "evidence" and (decision is None or x.number > decision.number)), None)
        number = evidence.run if evidence is not None else decision.run if decision is not None else 0
        later = last if last is not None and last.number > number else None
        decided.append(DecidedOn(name, decision, evidence, store.entry(number) if number else None, later))
    return decided


def policy_of(run: Stored | None) -> str:
    """The policy of a run, as a reader wants it: its name, git revision, and the start of its digest."""
    if run is None or not isinstance(run.entry, RunEntry) or not run.entry.policy:
        return ""
    parts = [
        f"revision {run.entry.revision[:10]}" if run.entry.revision else "",
        f"digest {run.entry.digest[:12]}" if run.entry.digest else "",
    ]
    shown = ", ".join(p for p in parts if p)
    return f"`{run.entry.policy}`" + (f" ({shown})" if shown else "")


def in_words(x: OnDay, names: Mapping[str, str] = NO_NAMES) -> list[str]:
    """The answer for one role, in sentences, with what reps are called."""
    if x.was is None:
        said = [f"{x.role}: the ledger does not know who had it"]
    else:
        h = x.was
        since = "since a day that is not known" if h.since_unknown else f"since {h.start.date}"
        how = because(h)
        said = [
            f"{x.role}: {_who(names.get(h.rep or '', h.rep), h.queue)}, {since}"
            + (f", until {h.stop.date}" if h.stop is not None else "")
            + (f"; {how}" if how else "")
        ]
    if (x.run is not None and (x.known is None) != (x.was is None)) or (
        x.known and x.was and (x.known.rep, x.known.queue) != (x.was.rep, x.was.queue)
    ):
        k = x.known
        said.append(f"    that night roe knew: {_who(names.get(k.rep or '', k.rep), k.queue) if k else 'nothing of it'}")
    return said


def because(h: InBook) -> str:
    """By what somebody has a record, in a few words."""
    by = {"hand": "by hand in the CRM", "system": "by a system in the CRM", "import": "as the CRM said"}.get(h.by, "")
    return by or (f"by rule `{h.rule}`" if h.rule else f"by {h.by}" if h.by != "rule" else "")


def book_lines(holdings: Iterable[InBook]) -> list[list[str]]:
    """A rep's book as rows: entity, record, role, since, until, why."""
    return [
        [h.entity, h.record, h.role, "not known" if h.since_unknown else str(h.start.date), str(h.stop.date) if h.stop else "", because(h)]
        for h in holdings
    ]  # fmt: skip
