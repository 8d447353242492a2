"""Records that two policies decide differently, where their text alone does not tell: of real data, or made up for their rules.

Turns, exceptions and claims depend on all the records of a run. So both policies decide the same records at the same moment, without a state
or with the same one. A difference is a record with another owner, action, end or sentence, or with another line in a file such as `credits.csv`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from roe.analysis.cases import Cases
from roe.analysis.equivalence import Comparison
from roe.analysis.finder import Finder
from roe.analysis.judge import Judge, differs
from roe.analysis.lists import MOST, Difference, Side
from roe.analysis.made_nights import Shrinking, as_witness, made_nights
from roe.analysis.space import Box, Space, Undecided
from roe.analysis.verdicts import PROVEN, UNDECIDED
from roe.analysis.witness import Witness
from roe.dynamic import Values
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator, Run
from roe.evaluator.extra import COLUMNS
from roe.run.rows import extra_of

MOST_TRIED = 16  # made-up records for each list of rules
ABOUT = ("record", "account", "ObjectId")  # columns that name the record of a line, whichever there is


def with_records(compared: Comparison, old: Run, new: Run) -> Comparison:
    """What is known of two policies, with the records of two runs where no difference was known before."""
    if compared.differences:
        return compared
    return replace(compared, differences=tuple(differing(old, new)))


def with_made_records(compared: Comparison, old: Evaluator, new: Evaluator) -> Comparison:
    """What is known of two policies, with one made-up record where no difference was known and some part could not be compared."""
    if compared.verdict != UNDECIDED:
        return compared
    tried = itertools.chain(_tried(old, new), _in_nights(old, new))
    return replace(compared, differences=tuple(itertools.islice(tried, 1)))


def differing(old: Run, new: Run) -> Iterator[Difference]:
    """Records of two runs that are decided differently."""
    yield from _decisions(old, new)
    yield from _lines(old, new)


def _in_nights(old: Evaluator, new: Evaluator) -> Iterator[Difference]:
    """A record of made-up runs, night after night, that both decide differently."""
    seeds: dict[str, list[Values]] = {}
    for (entity, _), witness in _meeting_rules(old, new):
        record = {name: x for name, x in witness.tables(new.policy)[entity][0].items() if name != "id" and not str(x).startswith("case-")}
        if record and record not in seeds.setdefault(entity, []):
            seeds[entity].append(record)
    for nights in made_nights(old.policy, new.policy, seeds):
        smallest = Shrinking((old, new), nights).smallest()
        if smallest is not None:
            least, runs = smallest
            for d in differing(*runs):
                assert d.witness is not None
                yield replace(d, witness=as_witness(least, d.witness.entity, str(d.witness.facts["id",])))


def _tried(old: Evaluator, new: Evaluator) -> Iterator[Difference]:
    """Records that one of the policies decides by each of its rules, where both decide them differently, whatever the reason."""
    judge = Judge(old, new)
    for (entity, role), witness in _meeting_rules(old, new):
        if judge.differ(witness, named=True):
            sides = [Side(Finder(e), e.compiled.engagement[entity, role]) for e in (old, new)]
            asked = [side.finder.asked(witness, side.chooser) or ((), None) for side in sides]
            (before, gave), (after, gives) = (side.shown(*x) for side, x in zip(sides, asked, strict=True))
            yield Difference(f"engagement of {entity} as {role}", before, after, gave, gives, PROVEN, witness, decides=True)


def _meeting_rules(old: Evaluator, new: Evaluator) -> Iterator[tuple[tuple[str, str], Witness]]:
    """For each list of rules that both have, a record of which nothing is known (fields may have defaults), and some that meet its rules."""
    for key in sorted(old.compiled.engagement.keys() & new.compiled.engagement.keys()):
        for evaluator in (old, new):
            finder = Finder(evaluator)
            cases = Cases(finder.policy, evaluator.compiled.engagement[key].step)
            boxes = itertools.islice(((space, box) for space in cases.spaces() for box in _deciding(space)), MOST_TRIED)
            yield key, Witness(key[0])
            yield from ((key, x) for space, box in boxes for x in finder.records(cases, space, box, 1))


def _deciding(space: Space) -> Iterator[Box]:
    """For each rule of a first-match list, and for none of them, a box that it decides."""
    for rule in (*space.rules, None):
        try:
            box = space.clear(space.whole, space.everything) if rule is None else space.firing(rule)
        except Undecided:
            continue
        if box is not None:
            yield box


def _decisions(old: Run, new: Run) -> Iterator[Difference]:
    """One record for each pair of rules, the first of the run."""
    before, after = ({(d.entity, d.id, d.role): d for d in run.decisions} for run in (old, new))
    shown: set[tuple[str, ...]] = set()
    for key in dict.fromkeys([*after, *before]):
        was, now = before.get(key), after.get(key)
        entity, record, role = key
        rules = tuple(d.rule if d is not None else "" for d in (was, now))
        if (entity, role, *rules) in shown or len(shown) >= MOST or not differs(was, now):
            continue
        shown.add((entity, role, *rules))
        where = f"engagement of {entity} as {role}"
        yield Difference(where, rules[0], rules[1], _gives(was), _gives(now), PROVEN, _witness(entity, record, new), decides=True)


def _lines(old: Run, new: Run) -> Iterator[Difference]:
    """One record for each of the other files of a run."""
    before, after = extra_of(old), extra_of(new)
    for name in dict.fromkeys([*after, *before]):
        counts = [Counter(map(tuple, files.get(name, ()))) for files in (before, after)]
        gone, come = list((counts[0] - counts[1]).elements()), list((counts[1] - counts[0]).elements())
        if not gone and not come:
            continue
        columns = COLUMNS[name]
        about = next(columns.index(column) for column in ABOUT if column in columns)
        line = (gone or come)[0]
        entity = line[columns.index("entity")] if "entity" in columns else "account"
        was, now = (next((", ".join(filter(None, x)) for x in lines if x[about] == line[about]), "") for lines in (gone, come))
        yield Difference(name, "", "", was, now, PROVEN, _witness(entity, line[about], new), decides=True)


def _gives(d: Decision | None) -> str:
    """The decision in a few words: what is done, who owns the record, until when, and why."""
    if d is None:
        return "not decided"
    return " ".join(filter(None, (d.action, d.owner, f"until {d.until}" if d.until is not None else "", f"because {d.reason}")))


def _witness(entity: str, record: str, run: Run) -> Witness:
    return Witness(entity, {("id",): record}, run.world.clock.today)
