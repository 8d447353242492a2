"""Matches that are kept while accounts change, and which of them a change gives another answer.

A method of a match rests on what it reads of the record, such as a domain, and on the accounts. So what a method finds is kept by what it
reads of a record, once for all records that ask the same. When an account changes, only answers that it has a part in are asked again:
those that look up a key which it has now, those in which it stands, and those by names if its name or what the method reads beside
names has changed, since the rarity of words rests on all names. Answers that a tiebreaker decides are asked again when a record changes in
what the tiebreakers read, such as an account's opportunities. Only records whose answer is another one than before need to be looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from roe.dynamic import Value
from roe.evaluator.row import OWNERSHIP
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.plan.operators import Relate
from roe.policy.reads import Read, by_entity

if TYPE_CHECKING:
    from roe.evaluator.followed import Followed
    from roe.evaluator.live_world import Change, LiveWorld
    from roe.evaluator.relate import Matcher, MatchMethod
    from roe.evaluator.row import Row
    from roe.grammar.scopes import Scope

NONE: frozenset[str] = frozenset()
OWNER_FIELDS = frozenset(OWNERSHIP)
SCALARS = {str, bool, int, float, date, type(None)}  # whose type and equality say all of them


class Answer:
    """What one method finds for all records of which it reads the same."""

    __slots__ = ("found", "held", "key", "looked_up", "method", "records")

    def __init__(self, method: int, key: Value, looked_up: tuple[Value, ...]) -> None:
        self.method, self.key, self.looked_up = method, key, looked_up
        self.found: Row | None = None
        self.held: tuple[Row, ...] = ()
        self.records: dict[Row, None] = {}


class KeptMatches:
    """The matches of one kind of record, by what each method reads of them."""

    def __init__(self, step: Relate, world: LiveWorld, parts: Sequence[Sequence[s.Node]], reads: Sequence[Read], ties: Read) -> None:
        """`parts` has for each method, and last for all tiebreakers, what is read of the record; `reads` the fields that a method rests on;
        `ties` those that tiebreakers rest on beside the record itself.
        """
        self.step, self.world = step, world
        self.watching: WeakSet[Followed] = WeakSet()  # who is told of records whose match is another one than before
        self._parts = [[compile_expression(tree) for tree in trees] for trees in parts]
        self._fields = [{name for of, name in read if of == step.target} for read in reads]
        self._answers: dict[Value, Answer] = {}
        self._of_record: dict[Row, list[Answer]] = {}
        self._having: dict[Row, dict[Answer, None]] = {}  # a candidate -> the answers in which it stands
        self._looking_up: dict[tuple[int, Value], dict[Answer, None]] = {}  # (method, key) -> the answers that look it up
        self._ties = by_entity(ties)
        self._tied: dict[Answer, None] = {}  # answers that tiebreakers decide
        self._doubtful: dict[Answer, None] = {}
        self._expected: list[Row] = []
        self._awaited: dict[Value, tuple[Row, list[Answer]]] = {}  # by id, records that are not there yet, and what they will ask for
        self._moved: set[Row] = set()  # records of which an answer is another one than when they asked

    @property
    def matcher(self) -> Matcher:
        return self.world.matcher(self.step)

    def match(self, row: Row) -> Row | None:
        """The related row, as `Matcher.best` gives it. Who watches is told when it becomes another one."""
        before = self._of_record.get(row, ())
        if before and self.is_known(row):
            return before[-1].found
        self._moved.discard(row)
        foreseen = self._awaited.get(row["id"]) if self._awaited and not before else None
        if foreseen is not None and self._still_stands(foreseen, row):
            asked = self._of_record[row] = foreseen[1]
            for answer in asked:
                answer.records[row] = None
            return asked[-1].found if asked else None
        asked = []
        scope = self.world.scope(row)
        ties = self._read(len(self._parts) - 1, row, scope)
        for number, method in enumerate(self.matcher.methods):
            if method.finds_nothing(scope):
                continue
            looked_up: tuple[Value, ...] = ()
            if method.is_keyed and not (looked_up := method.keys_of(scope)):
                continue
            answer = self._answer(number, row, scope, ties, looked_up)
            answer.records[row] = None
            asked.append(answer)
            if answer.found is not None:
                break
        self._of_record[row] = asked
        for answer in before:
            if answer not in asked:
                self._leave(answer, row)
        return asked[-1].found if asked else None

    def is_known(self, row: Row) -> bool:
        """Whether a record's match is known and still stands."""
        asked = self._of_record.get(row)
        return asked is not None and row not in self._moved and self._doubtful.keys().isdisjoint(asked)

    def _answer(self, number: int, row: Row, scope: Scope, ties: Value, looked_up: tuple[Value, ...]) -> Answer:
        """What a method finds for a record, as it is now."""
        key = (number, self._read(number, row, scope), ties)
        answer = self._answers.get(key)
        if answer is not None and answer in self._doubtful:
            self._ask_again(answer)
            answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = Answer(number, key, looked_up)
            for value in looked_up:
                self._looking_up.setdefault((number, value), {})[answer] = None
            self._ask(answer, row, scope)
        return answer

    def ask_before(self, row: Row) -> None:
        """Find the match of a record that is about to come. What was found is kept until `let_go`, and followed as any other answer."""
        if row["id"] in self._awaited:
            return
        self.match(row)
        asked = self._of_record.pop(row, [])
        for answer in asked:
            del answer.records[row]
        self._awaited[row["id"]] = row, asked

    def _still_stands(self, foreseen: tuple[Row, list[Answer]], row: Row) -> bool:
        """Whether what was found ahead for a record is its match: it has come with the same values, and no answer may be another one since."""
        expected, asked = foreseen
        same = len(row) - len(row.derived) == len(expected) and all(dict.get(row, name) is value for name, value in expected.items())
        return same and all(self._answers.get(answer.key) is answer and answer not in self._doubtful for answer in asked)

    def let_go(self) -> None:
        """The records that were about to come are there, or do not come."""
        awaited, self._awaited = self._awaited, {}
        for _, asked in awaited.values():
            for answer in asked:
                if not answer.records and self._answers.get(answer.key) is answer:
                    self._drop(answer)

    def forget(self, row: Row) -> None:
        """Nobody asks for a record any more, or it is about to read another way."""
        self._moved.discard(row)
        for answer in self._of_record.pop(row, ()):
            self._leave(answer, row)

    def _leave(self, answer: Answer, row: Row) -> None:
        answer.records.pop(row, None)
        if not answer.records:
            self._drop(answer)

    def _drop(self, answer: Answer) -> None:
        del self._answers[answer.key]
        self._doubtful.pop(answer, None)
        self._stand(answer, ())
        for value in answer.looked_up:
            _take_out(self._looking_up, (answer.method, value), answer)

    def _read(self, number: int, row: Row, scope: Scope) -> Value:
        """What is read of a record. What equality does not tell in full is this record's own."""
        values = [code(scope) for code in self._parts[number]]
        return tuple([(type(x), x) for x in values]) if SCALARS.issuperset(map(type, values)) else row

    def _ask(self, answer: Answer, row: Row, scope: Scope) -> None:
        """Find what a method finds, for a record that asks it."""
        held = self.matcher.methods[answer.method].held(scope)
        self._stand(answer, tuple(c.row for c in held))
        answer.found = self.matcher.choose(row, held, explained=False) if held else None

    def _stand(self, answer: Answer, held: tuple[Row, ...]) -> None:
        for row in answer.held:
            _take_out(self._having, row, answer)
        answer.held = held
        self._tied.pop(answer, None)
        if len(held) > 1:
            self._tied[answer] = None
        for row in held:
            self._having.setdefault(row, {})[answer] = None

    # --- changes ------------------------------------------------------------------------------------------------------

    def follow(self, change: Change) -> None:
        """Some record has changed, has come or has gone: which answers may be others is noted."""
        row, changed = change.row, change.fields
        doubtful = list(self._tied) if self._tied and not self._ties.get(row.entity, NONE).isdisjoint(changed) else []
        if row.entity == self.step.target:
            for number, method in enumerate(self.matcher.methods):
                if self._fields[number].intersection(changed) or "id" in changed:
                    doubtful += [answer for answer in self._having.get(row, ()) if answer.method == number]
                    doubtful += self._may_find(number, method, row)
        self._doubtful.update(dict.fromkeys(doubtful))
        if row.entity == self.step.entity and (change.is_gone or not OWNER_FIELDS.issuperset(changed)):
            self.forget(row)

    def _may_find(self, number: int, method: MatchMethod, row: Row) -> Iterable[Answer]:
        """The answers of a method that may find a row as it is now."""
        if not method.is_keyed or method.theirs is None:
            return [answer for answer in self._answers.values() if answer.method == number]
        keys = self.matcher.keys(method.kind, method.theirs).keys_of(row)
        return [answer for key in keys for answer in self._looking_up.get((number, key), ())]

    def found_in(self, row: Row) -> list[Row]:
        """The records that are matched to a row, as far as is known."""
        return [record for answer in self._having.get(row, ()) if answer.found is row for record in answer.records]

    @property
    def is_behind(self) -> bool:
        """Whether some answers may be others and have not been asked again, or some are still to be asked ahead."""
        return bool(self._doubtful or self._expected)

    def expect(self, rows: Iterable[Row]) -> None:
        """The match of each of these will be asked for."""
        self._expected += rows

    def ask_ahead(self, most: int) -> None:
        """Ask again some of what may be another answer, and then some of what will be asked for."""
        if self._doubtful:
            self.renew(most)
            return
        for row in self._expected[-most:]:
            if self.world.with_id(row.entity, str(row["id"])) is row:
                self.match(row)
        del self._expected[-most:]

    def renew(self, most: int | None = None) -> None:
        """Ask again what may be another answer: all, or so many."""
        for answer in list(islice(self._doubtful, most)):
            self._ask_again(answer)

    def _ask_again(self, answer: Answer) -> None:
        """Ask for those who stand behind it. An answer that is only awaited is dropped: who comes asks anew."""
        if not answer.records:
            self._drop(answer)
            return
        before = answer.found
        row = next(iter(answer.records))
        self._ask(answer, row, self.world.scope(row))
        self._doubtful.pop(answer, None)
        if answer.found is not before:
            self._moved.update(answer.records)
            for followed in self.watching:
                followed.stale.update(answer.records)


def _take_out(groups: dict[Any, dict[Answer, None]], key: object, answer: Answer) -> None:
    group = groups[key]
    del group[answer]
    if not group:
        del groups[key]
