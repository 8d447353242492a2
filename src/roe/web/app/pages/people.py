"""A rep's day and a team: what they hold, what ends soon, what they must answer, their place in each pool, and how full they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from starlette.responses import Response

from roe.analysis import words
from roe.dynamic import Value
from roe.evaluator.allocation import PoolTurn
from roe.evaluator.row import Row
from roe.evaluator.turns import Slots
from roe.grammar import syntax as s
from roe.plan.operators import TEMPLATE, Expr
from roe.web.app.covered import cells, reports, territories
from roe.web.app.outcomes import RecordOutcome, moment
from roe.web.app.service_levels import missed, to_work
from roe.web.app.site import Ask
from roe.web.app.snapshot import Snapshot

SIZE = 50  # records of one page
FEW = 12  # of a list beside others
WEEK = timedelta(days=14)
LOOKED_AHEAD = 200  # turns of a pool that are worked out to find the rep's own


@dataclass(slots=True)
class PoolPlace:
    """A rep's place in a pool: the weight, turns so far, credit owed, why they are skipped, and whose turn comes before theirs."""

    pool: str
    strategy: str
    weight: float
    turns: int
    credit: float
    skipped: str
    ahead: int | None
    load: int | None


def day(ask: Ask) -> Response:
    snapshot, rep_id = ask.snapshot, ask.request.path_params["id"]
    rep = snapshot.world.find("rep", rep_id)
    if rep is None or str(rep["id"]) != rep_id:
        return ask.missing("There is no such rep in the data that is loaded now.")
    if not ask.viewer.may_see_rep(snapshot, rep_id):
        return ask.render("person.html", rep=rep)
    from roe.web.app.pages.acts import may_answer, may_set_leave, proposed

    now: datetime = snapshot.clock.now
    mine = snapshot.outcomes.owned(rep_id)
    ordered = sorted(mine, key=lambda o: (o.entity, o.name.lower(), o.id))
    ends = sorted((o for o in mine if o.until is not None and o.action != "route"), key=lambda o: moment(o.until, now))
    return ask.render(
        "day.html",
        rep=rep,
        counts=Counter((o.entity, o.role) for o in mine),
        capacity=rep["capacity"],
        served=[(o, moment(o.until, now) < now) for o in to_work(snapshot, mine, FEW)],
        ends=[o for o in ends if moment(o.until, now) >= now][:FEW],
        referred=list(islice(referred_to(snapshot, rep), FEW)),
        gained=[o for o in snapshot.outcomes.moved if o.owner == rep_id][:FEW],
        lost=[o for o in snapshot.outcomes.moved if o.previous == rep_id][:FEW],
        claims=claims_of(snapshot, rep),
        places=places_of(snapshot, rep),
        leaves=[x for x in rep["leaves"] or () if x["until"] is None or x["until"] >= snapshot.clock.today],
        may_answer=lambda o: may_answer(ask, o),
        may_set_leave=may_set_leave(ask, rep_id),
        proposed=proposed(ask),
        away=ask.options.history.away(rep_id) if ask.options.history is not None else None,
        reps=snapshot.reps(),
        **ask.paged(ordered, SIZE),
    )


def referred_to(snapshot: Snapshot, rep: Row) -> Iterator[RecordOutcome]:
    """The records that the rep must decide on: by id, name, e-mail or role, as the policy names who decides."""
    return (o for o in snapshot.outcomes.referred if is_asked(snapshot, o, rep))


def is_asked(snapshot: Snapshot, o: RecordOutcome, rep: Row) -> bool:
    """Whether a referral is for a rep."""
    rule = next((r for r in snapshot.plan.engagement[o.entity, o.role].rules if str(r.name) == o.rule), None)
    to = rule.value.refers() if rule is not None else ""
    row = snapshot.row(o.entity, o.id) if TEMPLATE.search(to) else None
    if row is not None:
        to = snapshot.bound.fill(to, row)
    return to.lower() in {str(x).lower() for x in (rep["id"], rep.label, rep["email"], rep["role"]) if x}


def claims_of(snapshot: Snapshot, rep: Row) -> list[tuple[Row | None, Value, str, str, Value]]:
    """(account, claimed at, status, reason, until) of the rep's claims, the newest first."""
    if snapshot.plan.claims is None:
        return []
    rows = sorted(rep["claims"] or (), key=lambda c: str(c["at"]), reverse=True)
    return [(c["account"], c["at"], str(c["status"] or ""), str(c["reason"] or ""), c["until"]) for c in rows][:FEW]


def places_of(snapshot: Snapshot, rep: Row) -> list[PoolPlace]:
    """The rep's place in each pool that has them as a member, as it stood at the pool's last turn of the run."""
    return [x for name in snapshot.plan.pools for r, x in members(snapshot, name) if r == str(rep["id"])]


def members(snapshot: Snapshot, name: str) -> list[tuple[str, PoolPlace]]:
    """Every member of a pool at its last turn, with what that turn left them; or now, if the pool took none in this run."""
    turn = snapshot.last_turn(name) or turn_now(snapshot, name)
    if turn is None or turn.standing is None:
        return []
    pool = snapshot.pools.pools[name]
    ledger = pool.ledger()
    ahead: dict[str, int] = {}
    if pool.step.strategy in ("round_robin", "weighted") and turn.standing.able:
        slots = Slots(turn.standing, ledger)
        for number in range(LOOKED_AHEAD):
            ahead.setdefault(turn.standing.able[slots.next()][0], number)
            if len(ahead) == len(turn.standing.able):
                break
    return [
        (
            m.rep["id"],
            PoolPlace(
                name, pool.step.strategy, float(m.weight), pool.counts[m.rep["id"]], float(ledger.credit(m.rep["id"])), m.skipped,
                None if m.skipped else ahead.get(m.rep["id"]), m.load,
            ),
        )
        for m in turn.members
    ]  # fmt: skip


def turn_now(snapshot: Snapshot, name: str) -> PoolTurn | None:
    """The turn of a pool that kept all its records from an earlier run, if one of them came now. None for a pool without records."""
    for entity, record, role in snapshot.handed(name)[:1]:
        row = snapshot.row(entity, record)
        if row is not None:
            turn: PoolTurn = snapshot.pools.pools[name].turn_now(row, role)
            return turn
    return None


# --- teams --------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Load:
    """What a rep holds: records by entity and role, the capacity, how full that is, and what ends soon."""

    rep: Row
    counts: Counter[tuple[str, str]]
    capacity: float | None
    ends: int
    gained: int
    lost: int

    @property
    def held(self) -> int:
        return sum(self.counts.values())

    @property
    def use(self) -> float | None:
        return None if not self.capacity else self.held / self.capacity


@dataclass(slots=True)
class Team:
    name: str
    reps: list[Load] = field(default_factory=list)

    @property
    def held(self) -> int:
        return sum(x.held for x in self.reps)

    @property
    def capacity(self) -> float | None:
        known = [x.capacity for x in self.reps if x.capacity is not None]
        return sum(known) if known else None


def teams_of(ask: Ask) -> dict[str, list[Row]]:
    """The teams that the viewer may open: all of them, or the own one."""
    every = ask.snapshot.team_names()
    if ask.viewer.sees_all:
        return every
    own = ask.viewer.team(ask.snapshot)
    return {name: reps for name, reps in every.items() if any(str(rep["id"]) in own for rep in reps)}


def teams(ask: Ask) -> Response:
    loads = [Team(name, [load(ask.snapshot, rep) for rep in reps]) for name, reps in teams_of(ask).items()]
    keys = sorted({key for team in loads for x in team.reps for key in x.counts})
    every = territories(ask.snapshot)
    alone = [o for o in ask.snapshot.outcomes.held if o.owner is None and o.previous is None]
    return ask.render(
        "teams.html", teams=loads, keys=keys, **ask.paged(every, SIZE), cells=cells,
        places=sorted({key for t in every for key in t.records}), held=alone[:FEW], held_of_all=len(alone),
        reports=reports(ask.snapshot, "", None) if ask.viewer.sees_all else [],
    )  # fmt: skip


def team(ask: Ask) -> Response:
    snapshot, name = ask.snapshot, ask.request.path_params["name"]
    reps = teams_of(ask).get(name)
    if reps is None:
        return ask.missing("There is no such team among those that you may open.")
    loads = [load(snapshot, rep) for rep in reps]
    ids = {str(rep["id"]) for rep in reps}
    keys = sorted({key for x in loads for key in x.counts})
    pools = [(pool, [(r, x) for r, x in members(snapshot, pool) if r in ids]) for pool in snapshot.plan.pools]
    held = [o for rep in ids for o in snapshot.outcomes.owned(rep)]
    own = Counter(o.territory for o in held if o.territory)
    waiting = [o for o in snapshot.outcomes.referred if o.previous in ids]
    late = list(missed(snapshot, ids))
    on_hold = [o for o in snapshot.outcomes.held if o.owner in ids or o.previous in ids]
    return ask.render(
        "team.html", name=name, loads=loads, keys=keys, pools=[(p, m, shares(m)) for p, m in pools if m], territories=own.most_common(30), more_territories=max(0, len(own) - 30),
        waiting=waiting[:FEW], missed=late[:FEW], missed_of_all=len(late), held=on_hold[:FEW], held_of_all=len(on_hold), cells=cells,
        reports=reports(snapshot, name, ids), most=max((x.capacity or x.held for x in loads), default=1) or 1,
    )  # fmt: skip


def load(snapshot: Snapshot, rep: Row) -> Load:
    mine = snapshot.outcomes.touching(str(rep["id"]))
    own = str(rep["id"])
    now: datetime = snapshot.clock.now
    held = [o for o in mine if o.owner == own]
    ends = sum(o.until is not None and now <= moment(o.until, now) <= now + WEEK for o in held)
    gained, lost = (sum(o.moved and getattr(o, side) == own for o in mine) for side in ("owner", "previous"))
    return Load(rep, Counter((o.entity, o.role) for o in held), rep["capacity"], ends, gained, lost)


def shares(places: Iterable[tuple[str, PoolPlace]]) -> dict[str, tuple[float, float]]:
    """Of each member of a pool (the share of turns that the weights ask for, the share that the rep had)."""
    rows = list(places)
    weight, turns = sum(x.weight for _, x in rows) or 1, sum(x.turns for _, x in rows) or 1
    return {rep: (x.weight / weight, x.turns / turns) for rep, x in rows}


# --- pools and territories ----------------------------------------------------------------------------------------------------


def pool(ask: Ask) -> Response:
    snapshot, name = ask.snapshot, ask.request.path_params["name"]
    if name not in snapshot.plan.pools:
        return ask.missing("The policy has no such pool.")
    everybody = members(snapshot, name)
    own = ask.viewer.team(snapshot)
    if not ask.viewer.sees_all and not any(rep in own for rep, _ in everybody):
        return ask.missing("You are not in this pool, nor is anybody of your team.")
    handed = snapshot.handed(name)
    page = ask.paged(handed[::-1], SIZE)
    page["rows"] = [d for entity, record, role in page["rows"] for d in snapshot.decisions(entity, record) if d.role == role]
    step = snapshot.plan.pools[name]
    return ask.render(
        "pool.html", name=name, step=step, members=everybody, shares=shares(everybody), **page,
        caps={k: limit(e) for k, e in step.caps.items()},
        asked=snapshot.last_turn(name) is not None, fallback=snapshot.rep_name(step.fallback) if step.fallback and str(step.fallback) not in snapshot.plan.pools else step.fallback,
    )  # fmt: skip


def limit(cap: Expr) -> str:
    """A cap in words: a number, or the field of a rep that has it."""
    named = words.subject(cap.tree, "rep")
    return f"the rep’s {named}" if isinstance(cap.tree, s.Path) and "`" not in named else str(cap.text)


def territory(ask: Ask) -> Response:
    from roe.web.app.snapshot import territories

    snapshot, name = ask.snapshot, ask.request.path_params["name"]
    if name not in territories(snapshot):
        return ask.missing("The policy has no such territory.")
    outcomes = [o for o in snapshot.outcomes.all if o.territory == name]
    owners = Counter((o.entity, o.role, o.owner, o.owner_name) for o in outcomes)
    more = max(0, len(owners) - 40)
    return ask.render("territory.html", name=name, owners=owners.most_common(40), more=more, **ask.paged(outcomes, SIZE))
