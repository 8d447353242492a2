"""Random expressions of every construct and function, and records whose values are the odd ones: folds and gaps of clocks,
sentinel and extreme dates, tiny and huge numbers, composed and decomposed letters, and whatever is missing.

An expression is made by type, so that nearly all of them pass the checker; the few that it refuses are left out.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from roe.grammar.functions import BY_NAME

ZONE = "America/New_York"
NUMBERS: list[Any] = [0, 1, -1, 2, 3.5, 0.25, 100, 500, -7.75, 9007199254740992, "9007199254740993", 0.008, 0.00009]
EXTREME: list[Any] = [1e300, -1e300, 1.7976931348623157e308, 5e-324, 1e-7]
TEXTS = ["", "US", "DE", "us", "Café", "Cafe\u0301", "a b", "line\nbreak", "tab\t", "quo'te", 'dou"ble', "back\\slash", "{{ x }}", "{% y %}", "{#", "ß", "straße", "STRASSE", "😀", "94105", "acme.com", "İ"]  # fmt: skip
DATES = [
    "2026-02-01",
    "2026-01-31",
    "2024-02-29",
    "2025-12-31",
    "2026-03-08",
    "2026-11-01",
    "9999-12-31",
    "9999-12-01",
    "0001-01-01",
    "1900-01-01",
]
MOMENTS = [
    "2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T01:45:00-04:00", "2026-11-01T01:15:00-05:00", "2026-11-01T00:59:59-04:00",
    "2026-03-08T01:59:59-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T02:30:00", "2026-02-01T00:00:00Z", "2026-02-01T09:30:00", "2026-01-31T23:59:59-05:00",
]  # fmt: skip
FIELDS = {
    "number": ["employees", "revenue", "n"],
    "string": ["name", "country_", "code"],
    "boolean": ["flag", "sign"],
    "date": ["created", "signed"],
    "datetime": ["seen", "touched"],
}
ITEM_FIELDS = {"number": ["minutes"], "string": ["type", "subject"], "boolean": ["done"], "date": ["date"], "datetime": ["at"]}
LITERALS: dict[str, list[str]] = {
    "number": ["0", "1", "-1", "2", "0.1", "3.5", "100", "0.008", "9007199254740993", "1e300", "1e-7"],
    "string": ['""', '"US"', '"Café"', '"Cafe\u0301"', '"a b"', r'"line\nbreak"', '"quo\'te"', r'"back\\slash"', '"{{ x }}"', '"{%"', '"9"', '"straße"'],
    "boolean": ["true", "false"],
    "date": ["today", '@"2026-02-01"', '@"9999-12-31"', '@"0001-01-01"', '@"2024-02-29"'],
    "datetime": ["now", '@"2026-11-01T05:30:00Z"', '@"2026-11-01T01:30:00-05:00"', '@"2026-03-08T07:30:00Z"'],
    "duration": ["1 days", "30 days", "48 hours", "90 minutes", "0 days"],
    "months": ["1 months", "12 months", "1 years"],
    "working": ["1 working days", "5 working days"],
    "time": ['@"09:30:00"', '@"23:59:59"'],
}  # fmt: skip
POLICY = """roe: 1
name: random
timezone: America/New_York
roles: [ae]
fiscal_year: February
fields:
  account:
    n: {type: number}
    country_: {type: string}
    code: {type: string}
    flag: {type: boolean}
    sign: {type: boolean}
    signed: {type: date}
    seen: {type: datetime}
    touched: {type: datetime}
    same_code: {many: lead, by: lead.company, equals: account.code}
  activity:
    minutes: {type: number}
    done: {type: boolean}
lists: {listed: [US, Café, a b]}
"""


class Maker:
    """Random expressions about an account."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.items: list[str] = []  # names of variables that stand for activities

    def of(self, kind: str, depth: int) -> str:
        """An expression of a type; `any` is one of whichever."""
        if kind == "any":
            kind = self.rng.choice(["number", "string", "boolean", "date", "datetime", "duration"])
        if depth <= 0 or self.rng.random() < 0.15:
            return self.leaf(kind)
        made: Callable[[int], str] = getattr(self, "_" + kind, lambda d: self.leaf(kind))
        return made(depth - 1)

    def leaf(self, kind: str) -> str:
        rng = self.rng
        if kind not in FIELDS or rng.random() < 0.3:
            return rng.choice(LITERALS[kind])
        if self.items and rng.random() < 0.6:
            return f"{rng.choice(self.items)}.{rng.choice(ITEM_FIELDS[kind])}"
        return f"account.{rng.choice(FIELDS[kind])}"

    # --- by type ----------------------------------------------------------------------------------------------------

    def _number(self, d: int) -> str:
        rng, of = self.rng, self.of
        return self.pick([
            lambda: f"({of('number', d)} {rng.choice(['+', '-', '*', '/', '+', '-'])} {of('number', d)})",
            lambda: f"-({of('number', d)})",
            lambda: f"count({self.relation(d)})",
            lambda: f"{rng.choice(['sum', 'min', 'max', 'mean'])}({self.relation(d)}.minutes)",
            lambda: f"{of('date', d)}.{rng.choice(['year', 'month', 'day', 'weekday'])}",
            lambda: f"{of('datetime', d)}.{rng.choice(['hour', 'minute', 'day'])}",
            lambda: f"{self.one(d)}.minutes",
            lambda: self.choice("number", d),
            lambda: self.call("number", d),
            lambda: self.call("number", d),
        ])  # fmt: skip

    def _string(self, d: int) -> str:
        rng = self.rng
        return self.pick([
            lambda: f"({self.of('string', d)} + {self.of('string', d)})",
            lambda: f"{self.one(d)}.{rng.choice(['type', 'subject'])}",
            lambda: self.choice("string", d),
            lambda: self.call("string", d),
        ])  # fmt: skip

    def _date(self, d: int) -> str:
        rng, of = self.rng, self.of
        return self.pick([
            lambda: f"({of('date', d)} {rng.choice('+-')} {rng.choice(LITERALS['duration'][:2] + LITERALS['months'] + LITERALS['working'])})",
            lambda: f"{rng.choice(['min', 'max'])}({self.relation(d)}.date)",
            lambda: f"{self.one(d)}.date",
            lambda: f"date({of('datetime', d)})",
            lambda: self.choice("date", d),
        ])  # fmt: skip

    def _datetime(self, d: int) -> str:
        rng, of = self.rng, self.of
        return self.pick([
            lambda: f"({of('datetime', d)} {rng.choice('+-')} {rng.choice(LITERALS['duration'] + LITERALS['months'])})",
            lambda: f"{rng.choice(['min', 'max'])}({self.relation(d)}.at)",
            lambda: f"{self.one(d)}.at",
            lambda: self.choice("datetime", d),
        ])  # fmt: skip

    def _duration(self, d: int) -> str:
        kind = self.rng.choice(["date", "datetime"])
        return f"({self.of(kind, d)} - {self.of(kind, d)})"

    def _boolean(self, d: int) -> str:
        rng, of = self.rng, self.of
        ordered = rng.choice(["number", "date", "datetime", "number", "duration", "string"])
        any_kind = rng.choice(["number", "string", "boolean", "date", "datetime"])
        return self.pick([
            lambda: f"({of(ordered, d)} {rng.choice(['<', '<=', '>', '>='])} {of(ordered, d)})",
            lambda: f"({of(any_kind, d)} {rng.choice(['=', '!='])} {of(any_kind, d)})",
            lambda: f"({of(any_kind, d)} {rng.choice(['=', '!='])} null)",
            lambda: f"({of('boolean', d)} {rng.choice(['and', 'or'])} {of('boolean', d)})",
            lambda: f"({of('boolean', d)} {rng.choice(['and', 'or'])} {of('boolean', d)} {rng.choice(['and', 'or'])} {of('boolean', d)})",
            lambda: f"not({of('boolean', d)})",
            lambda: f"(({of('boolean', d)}) {rng.choice(['=', '!='])} {rng.choice(['true', 'false', 'null'])})",
            lambda: f"({of(ordered, d)} between {of(ordered, d)} and {of(ordered, d)})",
            lambda: f"({of(ordered, d)} {rng.choice(['in', 'not in'])} {self.range(ordered, d)})",
            lambda: f"({of(ordered, d)} in ({rng.choice(['<', '>='])} {of(ordered, d)}, {self.range(ordered, d)}, {of(ordered, 0)}))",
            lambda: f"({of(any_kind, d)} {rng.choice(['in', 'not in'])} ({rng.choice(LITERALS[any_kind])}, {rng.choice([*LITERALS[any_kind], 'null'])}))",
            lambda: f"({of('string', d)} {rng.choice(['in', 'not in'])} {self.texts()})",
            lambda: self.quantified(d),
            lambda: self.choice("boolean", d),
            lambda: self.call("boolean", d),
            lambda: self.call("boolean", d),
        ])  # fmt: skip

    # --- parts ------------------------------------------------------------------------------------------------------

    def pick(self, forms: list[Callable[[], str]]) -> str:
        return self.rng.choice(forms)()

    def choice(self, kind: str, d: int) -> str:
        otherwise = "null" if self.rng.random() < 0.2 else self.of(kind, d)
        return f"(if {self.of('boolean', d)} then {self.of(kind, d)} else {otherwise})"

    def range(self, kind: str, d: int) -> str:
        low, high = self.of(kind, min(d, 1)), self.of(kind, min(d, 1))
        return f"{self.rng.choice('[(')}{low}..{high}{self.rng.choice('])')}"

    def texts(self) -> str:
        """A list of texts: one of the policy, or written out."""
        return self.rng.choice(["listed", f"[{self.of('string', 0)}, {self.of('string', 0)}]"])

    def inside(self, act: Callable[[], str], name: str) -> str:
        self.items.append(name)
        try:
            return act()
        finally:
            self.items.pop()

    def relation(self, d: int) -> str:
        if d <= 0 or self.rng.random() < 0.4:
            return "account.activities"
        if self.rng.random() < 0.3:
            bare = self.rng.choice(['type = "call"', "minutes > 1", "date < today", "done", "done = null", 'item.type != "call"'])
            return f"account.activities[{bare}]"
        return f"account.activities[{self.inside(lambda: self.of('boolean', d - 1), 'item')}]"

    def one(self, d: int) -> str:
        where = self.relation(d)
        by = self.rng.choice(["date", "minutes", "at", "item.date", "minutes * 2", "subject"])
        pick = self.rng.choice(["latest", "earliest"])
        return self.rng.choice([f"{where}[1]", f"{where}[-1]", f"{where}[2]", f"{pick}({where}, {by})"])

    def quantified(self, d: int) -> str:
        kind, name = self.rng.choice(["some", "every"]), f"a{len(self.items)}"
        source = self.relation(d)
        return f"({kind} {name} in {source} satisfies {self.inside(lambda: self.of('boolean', d), name)})"

    def call(self, result: str, d: int) -> str:
        """A call of any function with this result."""
        rows = [row for row in BY_NAME.values() if row.result == result and row.name not in ("latest", "earliest", "now", "today")]
        return self.called(self.rng.choice(rows), d)

    def called(self, row: Any, d: int) -> str:
        args = []
        for p in row.parameters:
            if p.optional and self.rng.random() < 0.5:
                break
            args.append(self.argument(p, row, d))
        if row.name == "append" and len(args) < 2:
            args.append(self.of("number", 0))
        return f"{row.name}({', '.join(args)})"

    def argument(self, p: Any, row: Any, d: int) -> str:
        kind = self.rng.choice([x for x in p.type.split("|") if x != "null"])
        if kind == "list":
            if row.result == "boolean" and row.name in ("all", "any"):
                return f"[{self.of('boolean', 0)}, {self.of('boolean', d)}]"
            items = "number" if row.result != "string" else "string"
            listed = f"[{self.of(items, 0)}, {self.of(items, min(d, 1))}, {self.of(items, 0)}]"
            return self.rng.choice([listed, f"{self.relation(0)}.{'minutes' if items == 'number' else 'subject'}"])
        if p.name == "pattern":
            return self.rng.choice(['"."', '"^[A-Z]+$"', '"a|b"', r'"\\d"', '"["'])
        if p.name == "flags":
            return self.rng.choice(['"i"', '"s"', "null"])
        if p.name in ("scale", "position", "start_position", "length"):
            return self.rng.choice(["0", "1", "2", "-1", "3"])
        if kind == "range" or p.name.startswith("range"):
            return self.range("number", 0)
        return self.of(kind, d)

    def any_call(self, row: Any) -> str:
        """A call of a function, whatever it gives."""
        if row.name in ("latest", "earliest"):
            return f"{self.one(2)} = null"
        return self.called(row, 1)


def expressions(rng: random.Random, count: int, depth: int = 3) -> list[str]:
    """Expressions of every type; every function is among them, if there are enough."""
    maker = Maker(rng)
    kinds = ["boolean", "boolean", "boolean", "number", "string", "date", "datetime", "duration"]
    rows = [row for row in BY_NAME.values() if row.name not in ("now", "today")]
    return [maker.any_call(rng.choice(rows)) if rng.random() < 0.2 else maker.of(rng.choice(kinds), depth) for _ in range(count)]


def records(rng: random.Random, accounts: int = 70, extreme: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Accounts with activities and leads. Without `extreme`, numbers that every database computes with."""
    numbers = NUMBERS + EXTREME * extreme

    def some(values: list[Any], missing: float = 0.2) -> Any:
        return None if rng.random() < missing else rng.choice(values)

    ids = [f"A{i:03}" for i in range(accounts)]
    account = [
        {"id": i, "name": some([t for t in TEXTS if t], 0.1), "employees": some(numbers), "revenue": some(numbers), "n": some(numbers), "country_": some(TEXTS), "code": some(TEXTS),
         "flag": some(["true", "false"], 0.3), "sign": some(["true", "false"], 0.3), "created": some(DATES), "signed": some(DATES), "seen": some(MOMENTS), "touched": some(MOMENTS),
         "parent": some(ids, 0.6), "owner": some(["ann", "bob"])}
        for i in ids
    ]  # fmt: skip
    activity = [
        {"id": f"T{i:03}", "account": some(ids[: accounts // 2], 0.05), "type": some(["call", "mail"]), "subject": some(TEXTS), "minutes": some([0, 1, 2.5, 0.25, 60]),
         "done": some(["true", "false"], 0.3), "date": some(DATES), "at": some(MOMENTS)}
        for i in range(accounts)
    ]  # fmt: skip
    lead = [{"id": f"L{i:02}", "company": some(TEXTS), "email": "x@acme.com", "created": some(MOMENTS)} for i in range(20)]
    rep = [{"id": r, "name": r.title()} for r in ("ann", "bob")]
    made = {"account": account, "activity": activity, "lead": lead, "rep": rep}
    for rows in made.values():
        for line, row in enumerate(rows, 2):
            row["$line"] = line
    return made
