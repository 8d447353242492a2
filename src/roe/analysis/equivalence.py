"""Whether two policies decide alike: proven part by part, or shown by records that they decide differently.

Every part that decides has a meaning (`meaning.py`): parts of one meaning are equal, lists of rules that are written otherwise are compared by
cells (`lists.py`), and whatever is left is undecided and named. A part may read computed fields. It is equal only if all that it reads is: so
fields are *settled* first, those that a field reads before the field itself.

A difference is a record, which both evaluators have decided (`judge.py`). Where no decision is another one, a field on the way is, and that is
said apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

from roe.analysis.cases import by_identity
from roe.analysis.finder import Finder
from roe.analysis.judge import Judge
from roe.analysis.lists import Difference, Given, Pair, Side, apart, as_list, compare_lists
from roe.analysis.meaning import Meaning
from roe.analysis.policy_parts import Gives, action, beside, credited, nothing, parts, same_lists, territories_by_name, what
from roe.analysis.space import Undecided
from roe.analysis.verdicts import PROVEN, UNDECIDED
from roe.analysis.witness import Witness
from roe.analysis.writing_out import Key, WritingOut
from roe.evaluator.choose import Chooser
from roe.evaluator.engine import Evaluator
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.plan import Step
from roe.policy.model import Field, Policy

__all__ = ["Comparison", "Difference", "as_list", "compare", "compare_lists"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of two policies.

    `differences` are records that both decide, with another owner, action, end or sentence. `fields` are records whose decision is
    the same, though a field on the way is another; `renamed` those that a rule of another name decides to the same effect.
    `unproven` names what may decide otherwise, and could not be compared; `possible` are cases of it for which no record was found.
    `beside` names invariants, reports and key figures that differ: they decide nothing.
    """

    differences: tuple[Difference, ...] = ()
    unproven: tuple[str, ...] = ()
    fields: tuple[Difference, ...] = ()
    renamed: tuple[Difference, ...] = ()
    possible: tuple[Difference, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        return self.verdict == "equivalent"

    @property
    def verdict(self) -> str:
        if self.differences:
            return "different"
        return UNDECIDED if self.unproven else "same outcome" if self.renamed else "equivalent"


def compare(old: Evaluator, new: Evaluator) -> Comparison:
    """The two policies, part by part."""
    return _Comparing(old, new).compared()


@dataclass(slots=True)
class _Settled:
    """Why a field does not mean the same in both: the names at the bottom of it; nothing where it does."""

    why: set[str] = field(default_factory=set)
    is_assumed: bool = False  # something rests on it that was looked at meanwhile

    @property
    def same(self) -> bool:
        return not self.why


class _Comparing:
    def __init__(self, old: Evaluator, new: Evaluator) -> None:
        self.evaluators = (old, new)
        self.policies = (old.policy, new.policy)
        self.plans = (old.policy.plan, new.policy.plan)
        self.finders = (Finder(old), Finder(new))
        self.judge = Judge(old, new)
        self.lists, self.changed_lists = same_lists(*self.plans)
        self.labels: dict[Key, str] = {}
        renames = bool(self.lists or self.plans[0].steps.keys() - self.plans[1].steps.keys())
        before = Meaning(old.policy, self.labels, self.lists) if renames else _meaning(old.policy)
        self.meanings = (before, Meaning(new.policy, {}, {}))
        self.origin: dict[Key, Key] = {}  # of a field of the new policy, the old one that it is
        self._settled: dict[Key, _Settled] = {}
        self._texts: dict[tuple[int, Key], tuple[str, set[str]]] = {}
        self.raising = {(event.entity, event.name) for plan in self.plans for event in plan.events}  # such a field is an outcome itself
        self.differences: list[Difference] = []
        self.renamed: list[Difference] = []
        self.unproven: list[str] = []
        self._rename()
        self.keys_of: dict[str, list[Key]] = {}
        watched = {key for plan in self.plans for key, step in plan.steps.items() if step.stage == "invariant"}  # see `_beside`
        for key in {**self.plans[1].steps, **{self._label(key): None for key in self.plans[0].steps}}:
            if key not in watched:
                self.keys_of.setdefault(key[1], []).append(key)

    def compared(self) -> Comparison:
        keys = list(itertools.chain.from_iterable(self.keys_of.values()))
        for key in keys:
            self.settled(key)
        self._engagement()
        self._territories()
        self._credits()
        self._rest()
        fields = {_shown(key) for key in keys}
        cases = tuple(d for d in self.differences if d.decides)
        on_the_way = tuple(d for d in self.differences if not d.decides and d.certainty == PROVEN and d.where in fields)
        unsure = tuple(d for d in self.differences if not d.decides and d not in on_the_way)
        return Comparison(cases, tuple(dict.fromkeys(self.unproven)), on_the_way, tuple(self.renamed), unsure, tuple(self._beside()))

    # --- computed fields --------------------------------------------------------------------------------------------

    def _rename(self) -> None:
        """Give fields of the old policy that the new one has under another name that name."""
        gone = [key for key in self.plans[0].steps if key not in self.plans[1].steps]
        come = [key for key in self.plans[1].steps if key not in self.plans[0].steps]
        texts = {(key[0], self.text(1, key)[0]): key for key in come}
        waiting = gone
        while waiting:
            matched = []
            for key in waiting:
                self._texts.pop((0, key), None)
                other = texts.get((key[0], self.text(0, key)[0]))
                if other is not None and other not in self.origin:
                    self.labels[key], self.origin[other] = other[1], key
                    matched.append(key)
            self.meanings[0].forget()
            waiting = [key for key in waiting if key not in matched] if matched else []

    def _label(self, key: Key) -> Key:
        return key[0], self.labels.get(key, key[1])

    def _before(self, key: Key) -> Key | None:
        """The key in the old policy of a field of the new one."""
        old = self.origin.get(key, key)
        return old if old in self.plans[0].steps else None

    def text(self, side: int, key: Key) -> tuple[str, set[str]]:
        """What a computed field means, and the names in it."""
        known = self._texts.get((side, key))
        if known is None:
            names: set[str] = set()
            text = self.meanings[side].step(self.plans[side].steps[key], names)
            known = self._texts[side, key] = (text, names)
        return known

    def settled(self, key: Key) -> _Settled:
        """Whether a computed field means the same in both policies."""
        known = self._settled.get(key)
        if known is not None:
            known.is_assumed = True
            return known
        shown = _shown(key)
        before = self._before(key)
        if before is None or key not in self.plans[1].steps:
            result = self._settled[key] = _Settled({shown})
            return result
        (one, names), (other, more) = self.text(0, before), self.text(1, key)
        assumed = self._settled[key] = _Settled()  # while it is looked at: names may lead back to it
        why = self.unsettled(names | more)
        if one != other:
            why.add(shown)
        steps = self.plans[0].steps[before], self.plans[1].steps[key]
        result = self._field(shown, steps, why) if why else _Settled()
        if assumed.is_assumed and not result.same:
            self._look_again(key)
        self._settled[key] = result
        return result

    def _look_again(self, key: Key) -> None:
        """Forget what was found to mean the same on the assumption that this field does, since it does not."""
        later = itertools.dropwhile(lambda x: x != key, list(self._settled))
        for other in later:
            if self._settled[other].same:
                del self._settled[other]

    def unsettled(self, names: set[str]) -> set[str]:
        """The names of all that makes a difference to a part that reads these."""
        why = {f"list {name}" for name in names & self.changed_lists}
        for name in sorted(names & self.keys_of.keys()):
            for key in self.keys_of[name]:
                why |= self.settled(key).why
        return why

    def begun(self, names: set[str]) -> set[str]:
        """The names, and those of computed fields that begin as one of them: a book has fields that begin with its name."""
        begins = tuple(f"{name}_" for name in names if name)
        return names | {known for known in self.keys_of if known.startswith(begins)}

    def _field(self, where: str, steps: tuple[Step, Step], why: set[str]) -> _Settled:
        """A field that says something else, by cells if both are lists of rules."""
        one, other = (self._chooser(side, step) for side, step in enumerate(steps))
        if one is None or other is None:
            return _Settled(why)
        read: set[str] = set()
        sides = [self._side(side, chooser, read, what) for side, chooser in enumerate((one, other))]
        key = other.step.entity, other.step.name
        return self._by_cells(where, sides, read, (lambda witness: True) if key in self.raising else None)

    def _by_cells(self, where: str, sides: list[Side], read: set[str], decides: Callable[[Witness], bool] | None = None) -> _Settled:
        """Two lists over the cells of both; the records that are found are noted.

        Fields that mean the same in both are left as they are at first: there are fewer subjects then. Where that does not tell, they are
        written out.
        """
        old, new = sides
        if old.step == new.step:
            names: set[str] = set()
            texts = {meaning.text(side.step, side.step.entity, names) for meaning, side in zip(self.meanings, sides, strict=True)}
            given, now_given = ([side.gives(rule) for rule in side.step.rules] for side in sides)  # of a credit its shares
            if len(texts) == 1 and given == now_given and not self.unsettled(names | read):
                return _Settled()
        same = {key for key, known in self._settled.items() if known.same}
        stays = {key for key in same if self.origin.get(key, key) == key}
        kept = replace(old, keep={self.origin.get(key, key) for key in same}, same=stays), replace(new, keep=same, same=stays)
        made = self._pair(where, *kept, decides)
        if made is None or not all(d.decides for d in made[1]):
            made = self._pair(where, old, new, decides)
        if made is None:
            return _Settled({where})
        pair, differences = made
        self.differences += differences
        self.renamed += pair.renamed
        if differences:
            return _Settled({where})
        return _Settled(self.unsettled(read | pair.names()))

    def _pair(self, where: str, old: Side, new: Side, decides: Callable[[Witness], bool] | None) -> tuple[Pair, list[Difference]] | None:
        """The two lists beside each other, and where they differ; None where there is no telling."""
        try:
            pair = Pair(where, old, new, decides=decides or self.judge.differ)
            return pair, list(pair.differences())
        except Undecided:
            return None

    def _chooser(self, side: int, step: Step | None) -> Chooser | None:
        """A table, or a definition that can be read as a list of rules."""
        evaluator = self.evaluators[side]
        if isinstance(step, Choose):
            return evaluator.compiled.choosers[step.entity, step.name]
        made = as_list(evaluator, step, constants=False) if isinstance(step, Derive) else None
        return Chooser(made, evaluator.policy.plan.lists) if made is not None else None

    def _side(self, side: int, chooser: Chooser, read: set[str], gives: Gives) -> Side:
        entity, meaning = chooser.step.entity, self.meanings[side]

        def value(x: object) -> str:
            return meaning.text(dict(sorted(x.items())) if isinstance(x, Mapping) else x, entity, read)

        def given(rule: Rule) -> Given:
            return gives(rule, lambda x: value(x), lambda text: meaning.sentence(text, entity, read))

        lists = {meaning.lists.get(name, name): x for name, x in self.plans[side].lists.items()}
        return Side(self.finders[side], chooser, lambda tree: meaning.condition(tree, entity), given, value, lists=lists)

    def _outcome(self, where: str, sides: list[Side], read: set[str], decides: Callable[[Witness], bool] | None = None) -> None:
        """Two lists that decide something that people see."""
        known = len(self.differences)
        why = self._by_cells(where, sides, read, decides).why
        if any(d.decides for d in self.differences[known:]):
            why = self.unsettled(read) - {where}
        self.unproven += sorted(why)

    # --- what is decided --------------------------------------------------------------------------------------------

    def _engagement(self) -> None:
        old, new = (e.compiled.engagement for e in self.evaluators)
        for key in dict.fromkeys([*new, *old]):
            where = f"engagement of {key[0]} as {key[1]}"
            if any(key[0] not in policy.model.entities for policy in self.policies):
                self.unproven.append(where)
                continue
            read: set[str] = set()
            lists = [self._apart(i, rules.get(key) or nothing(key[0], "first")) for i, rules in enumerate((old, new))]
            self._outcome(where, [self._side(i, x, read, action) for i, x in enumerate(lists)], read)

    def _apart(self, side: int, chooser: Chooser) -> Chooser:
        policy = self.policies[side]
        step = apart(chooser.step, WritingOut(policy, chooser.step.entity))
        return chooser if step is chooser.step else Chooser(step, policy.plan.lists)

    def _territories(self) -> None:
        """The territory of a record, which an allocation shows, by its name alone."""
        for key in self.keys_of.get("territory", ()):
            before = self._before(key)
            if before is not None and self.settled(key).same:
                continue
            steps = [plan.steps.get(k) if k is not None else None for plan, k in zip(self.plans, (before, key), strict=True)]
            lists = [self._chooser(i, step) if step is not None else nothing(key[0], "first") for i, step in enumerate(steps)]
            if not all(x is not None and x.step.stage in ("territory", "") for x in lists):  # a policy may have none
                self.unproven += sorted(self.settled(key).why)
                continue
            read: set[str] = set()
            sides = [self._side(i, territories_by_name(x, self.plans[i].lists), read, what) for i, x in enumerate(lists) if x is not None]
            known = len(self.differences)
            self._outcome(f"{key[0]}.territory", sides, read)
            if None not in steps:  # found already, with all that the rows give
                del self.differences[known:]

    def _credits(self) -> None:
        """Who is credited with a record, by the rule that decides, and why."""
        old, new = ({c.name: c for c in plan.credits} for plan in self.plans)
        for name in dict.fromkeys([*new, *old]):
            before, after = old.get(name), new.get(name)
            if before is None or after is None or before.entity != after.entity:
                self.unproven.append(f"credit {name}")
                continue
            read: set[str] = set()
            choosers = [evaluator.compiled.choosers[after.entity, name] for evaluator in self.evaluators]
            sides = [self._side(i, choosers[i], read, partial(credited, credit)) for i, credit in enumerate((before, after))]
            self._outcome(f"credit {name}", sides, read, partial(self.judge.credited, name))

    def _rest(self) -> None:
        """Every other part of the two policies, by its text."""
        old, new = (dict(parts(policy)) for policy in self.policies)
        for title in dict.fromkeys([*new, *old]):
            if title not in old or title not in new:
                self.unproven.append(title)
                continue
            if old[title] is new[title] and isinstance(known := new[title], Field) and known.standard:
                self.unproven += sorted(self.unsettled(self.begun(_words_in(known, self.meanings[0]))))
                continue
            names: set[str] = set()
            texts = [self._said(i, title, x[title], names) for i, x in enumerate((old, new))]
            self.unproven += [title] if texts[0] != texts[1] else sorted(self.unsettled(self.begun(names)))

    def _said(self, side: int, title: str, part: object, names: set[str]) -> str:
        """A part as text. Of a policy that is compared with many, in its own names, that is worked out once."""
        meaning = self.meanings[side]
        if meaning.labels or meaning.lists:
            return meaning.text(part, "", names, whole=True)
        known = _said_of(self.policies[side])
        if title not in known:
            own: set[str] = set()
            known[title] = meaning.text(part, "", own, whole=True), own
        text, own = known[title]
        names |= own
        return text

    def _beside(self) -> Iterator[str]:
        """What differs of all that decides nothing."""
        old, new = (dict(beside(policy)) for policy in self.policies)
        for title in dict.fromkeys([*new, *old]):
            names: set[str] = set()
            texts = [self._said(i, title, x[title], names) if title in x else None for i, x in enumerate((old, new))]
            if texts[0] != texts[1] or self.unsettled(names):
                yield title


@by_identity(4)
def _meaning(policy: Policy) -> Meaning:
    """The meaning of a policy in its own names, which many others may be compared with."""
    return Meaning(policy, {}, {})


@by_identity(4)
def _said_of(policy: Policy) -> dict[str, tuple[str, set[str]]]:
    """By the title of each part of a policy its text, and the names in it."""
    return {}


@lru_cache(maxsize=1)
def _words() -> dict[int, tuple[Field, set[str]]]:
    """By the identity of a field that every policy has the names in it."""
    return {}


def _words_in(known: Field, meaning: Meaning) -> set[str]:
    """Every text of a standard field, of which there are many, the same in all policies."""
    words = _words()
    if id(known) not in words:
        names: set[str] = set()
        meaning.text(known, "", names, whole=True)
        words[id(known)] = known, names
    return words[id(known)][1]


def _shown(key: Key) -> str:
    """A computed field, as differences call it."""
    return f"{key[0]}.{key[1]}"
