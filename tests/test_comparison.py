"""Everything that a comparison of two policies says: each row names two policies, the verdict, and every case and part under its heading.

Where a row says `equivalent`, records at the boundaries that the policies name are decided by both, too.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from helpers import compiled
from roe.analysis.equivalence import Comparison, _Comparing, compare
from roe.analysis.policy_parts import same_lists
from roe.analysis.space import Undecided
from roe.evaluator.engine import Evaluator
from roe.plan.operators import DatedValue
from roe.source import Inline, Text

HEAD = """
roe: 1
name: x
roles: [ae, sdr]
fields:
  account: {n: number, m: number, t: string, flag: boolean}
  opportunity: {k: number}
"""
AE = "engagement of account as ae"


def ae(rules: str, more: str = "") -> str:
    return f"{HEAD}{more}engagement: {{account: {{ae: [{rules}]}}}}\n"


ALL = "{name: all, then: keep}"


def two(when: str, more: str = "") -> str:
    """A rule that keeps what meets the condition, and one that opens the rest."""
    return ae(f"{{name: a, when: '{when}', then: keep, because: so}}, {{name: b, then: open, because: so}}", more)


def define(text: str) -> str:
    return f"define: {{account.big: '{text}'}}\n"


def table(rows: str, name: str = "desk", more: str = "") -> str:
    return f"tables: {{{name}: {{rows: [{rows}]{more}}}}}\n"


def tables(*texts: str) -> str:
    return "tables: {" + ", ".join(texts) + "}\n"


def lists(**known: str) -> str:
    return "lists: {" + ", ".join(f"{name}: [{x}]" for name, x in known.items()) + "}\n"


def credits(*names: str, when: str = "account.flag", share: int = 100) -> str:
    rules = f"[{{name: own, when: {when}, shares: {{account.owner.ae: {share}, account.parent.owner.ae: {100 - share}}}}}]"
    return "credits: {" + ", ".join(f"{name}: {{for: account, rules: {rules}}}" for name in names) + "}\n"


def territories(rows: str, more: str = "") -> str:
    return f"territories: {{hit: first, rows: [{rows}]{more}}}\n"


def ranked(within: str) -> str:
    return f"scores: {{place: {{rank: {{of: account.n, within: account.{within}}}}}}}\n"


CALLS = 'count(account.activities[type = "call"]) > {}'
DESK = 'account.desk = "x"'
BOTH = ", for: [account, lead]"
ROUTED = "{name: a, then: {route: p}}"
POOL = "pools: {p: {members: 'rep.team in LIST'}}\n"
WEIGHED = "pools: {p: {members: 'rep.team = \"S\"', strategy: weighted, weight: 'if rep.region = \"N\" then A else B'}}\n"
BOOK = "books: {own: {role: ae, accounts: account.n > LEAST, reps: 'rep.team = \"A\"', capacity: 10, value: account.n}}\n"
CLAIMS = "claims: {role: ae, lasts: 20 days, blocked_by: [{name: NAME, when: account.n > 4BECAUSE}]}\n"
RANKED = '{{name: p, n: "> 1", {}}}, {{name: q, m: "> 1", {}}}'
FIRST_OUTPUT = [RANKED.format("a: x, b: y", "a: y, b: x"), RANKED.format("b: y, a: x", "b: x, a: y")]
PRIORITY = ", hit: priority, priority: [x, y]"
READS_IT = "invariants: [{name: i, every: account, holds: account.big}]\nreports: {r: {measures: {n: account.big}}}\n"
HOT = "events: {{account.hot: {{when: account.n > {}}}}}\n"
STATE = "define: {account.territory: account.state}\n"
ZONE = "{0}: {{rows: [{{country: US, {0}: N}}, {{country: DE, {0}: S}}]}}"
READER = "{0}: {{rows: [{{{1}: N, {0}: x}}, {{{1}: S, {0}: y}}]}}"
Told = dict[str, list[tuple[str, str, str]] | tuple[str, ...]]
ROWS: dict[str, tuple[str, str, str, Told]] = {
    # a computed field, and the rules that read it or do not
    "a definition says something else": (two("account.big", define("account.n > 3")), two("account.big", define("account.n > 4")), "different", {"differences": [("account.big", "big", "not big"), (AE, "a", "b")]}),
    "a definition that nobody reads says something else": (ae(ALL, define("account.n > 3")), ae(ALL, define("account.n > 4")), "equivalent", {"fields": [("account.big", "big", "not big")]}),
    "a definition counts something else": (two("account.big", define(CALLS.format(3))), two("account.big", define(CALLS.replace("call", "mail").format(3))), "undecided", {"possible": [("account.big", "big", "not big"), (AE, "a", "b")], "unproven": (AE,)}),
    "a default, and a row that gives it": (ae(ALL, table('{n: "> 1", desk: x}', more=", default: z")), ae(ALL, table('{n: "> 1", desk: x}, {n: "< 0", desk: w}', more=", default: w")), "equivalent", {"fields": [("account.desk", "", ""), ("account.desk", "", "w")]}),
    "a table that another name begins like says something else": (two(DESK, table('{n: "> 1", desk: x}')), two(DESK, table('{n: "> 1", desk: x}').replace("}}\n", '}, desk_two: {rows: [{n: "> 1", desk_two: x}]}}\n')), "equivalent", {}),
    # lists of rules
    "a default that no record gets": (two(DESK, table("{n: \"> 1\", desk: x}, {desk: y}", more=", default: z")), two(DESK, table("{n: \"> 1\", desk: x}, {desk: y}", more=", default: w")), "equivalent", {}),
    "a table that gives nothing where a rule asks for it": (two(DESK + " and account.n > 5", table("{n: \"< 3\", desk: x}", more=", default: y")), two(DESK + " and account.n > 6", table("{n: \"< 3\", desk: x}", more=", default: y")), "equivalent", {}),
    "rows that overlap, and another that is split": (two(DESK, table("{n: \"> 1\", desk: x}, {n: \"> 2\", desk: y}, {t: \"p, q\", desk: y}", more=PRIORITY)), two(DESK, table("{n: \"> 1\", desk: x}, {n: \"> 2\", desk: y}, {t: p, desk: y}, {t: q, desk: y}", more=PRIORITY)), "equivalent", {}),
    "another first output": (two("account.desk.a = \"x\"", table(FIRST_OUTPUT[0], more=PRIORITY)), two("account.desk.a = \"x\"", table(FIRST_OUTPUT[1], more=PRIORITY)), "different", {"differences": [(AE, "a", "b")]}),
    "an event is an outcome itself": (ae(ALL, HOT.format(5)), ae(ALL, HOT.format(6)), "different", {"differences": [("account.hot", "hot", "not hot")], "unproven": ("account.hot",)}),
    "a definition gives other fields": (ae(ALL, define("if account.n > 1 then account.t else null")), ae(ALL, define("if account.n > 2 then account.t else null")), "equivalent", {"fields": [("account.big", "account.n > 1", "")]}),
    "rules for other records": (ae(ALL), ae(ALL).replace("engagement: {", "engagement: {opportunity: {ae: [{name: ours, when: opportunity.k > 1, then: {assign: '\"ann\"'}, because: so}]}, "), "different", {"differences": [("engagement of opportunity as ae", "", "ours")], "unproven": ("order of roles of opportunity",)}),
    "a rep by an `if`, and by two rules": (ae("{name: a, then: {assign: 'if account.flag then \"ann\" else \"ben\"'}, because: so}"), ae("{name: a, when: account.flag, then: {assign: '\"ann\"'}, because: so}, {name: b, then: {assign: '\"ben\"'}, because: so}"), "equivalent", {}),
    # names
    "a definition that counts has another name": (two("account.big", define(CALLS.format(3))), two("account.rings", define(CALLS.format(3)).replace("account.big", "account.rings")), "equivalent", {}),
    "two tables have other names, and the reader stands first": (two(DESK, tables(READER.format("desk", "zone"), ZONE.format("zone"))), two("account.office = \"x\"", tables(READER.format("office", "region"), ZONE.format("region"))), "equivalent", {}),
    "two tables have other names, and one says something else": (two(DESK, tables(READER.format("desk", "zone"), ZONE.format("zone"))), two("account.office = \"x\"", tables(READER.format("office", "region"), ZONE.format("region").replace("US", "CA"))), "different", {"differences": [(AE, "a", "b"), (AE, "b", "a")], "unproven": ("account.region",)}),
    # lists of values
    "a list says something else where rules ask for it": (two("account.t in named", lists(named="a, b")), two("account.t in named", lists(named="a, c")), "different", {"differences": [(AE, "a", "b"), (AE, "b", "a")]}),
    "a list has another name where rules ask for it": (two("account.t in named", lists(named="a, b")), two("account.t in top", lists(top="a, b")), "equivalent", {}),
    "a list has another name, and conditions another order": (two("account.t in named and account.n > 1", lists(named="a, b")), two("account.n > 1 and account.t in top", lists(top="a, b")), "equivalent", {}),
    "a list has another name, and a number is another": (two("account.t in named and account.n > 1", lists(named="a, b")), two("account.t in top and account.n > 2", lists(top="a, b")), "different", {"differences": [(AE, "a", "b")]}),
    "a list says something else where a pool asks for it": (ae(ROUTED, lists(named="a, b") + POOL.replace("LIST", "named")), ae(ROUTED, lists(named="a, c") + POOL.replace("LIST", "named")), "undecided", {"unproven": ("list named",)}),
    "a list has another name where a pool asks for it": (ae(ROUTED, lists(named="a, b") + POOL.replace("LIST", "named")), ae(ROUTED, lists(top="a, b") + POOL.replace("LIST", "top")), "equivalent", {}),
    "one of two lists is gone": (ae(ROUTED, lists(named="a, b", top="a, b") + POOL.replace("LIST", "named")), ae(ROUTED, lists(top="a, b") + POOL.replace("LIST", "top")), "undecided", {"unproven": ("pool p",)}),
    "two lists have each other's names": (ae(ROUTED, lists(named="a", top="b") + POOL.replace("LIST", "named")), ae(ROUTED, lists(named="b", top="a") + POOL.replace("LIST", "top")), "undecided", {"unproven": ("pool p",)}),
    # pools, books and claims
    "weights in the same proportions": (ae(ROUTED, WEIGHED.replace("A", "4").replace("B", "2")), ae(ROUTED, WEIGHED.replace("A", "1").replace("B", "0.5")), "equivalent", {}),
    "weights of halves": (ae(ROUTED, WEIGHED.replace("A", "4.5").replace("B", "1.5")), ae(ROUTED, WEIGHED.replace("A", "3").replace("B", "1")), "equivalent", {}),
    "weights below nothing": (ae(ROUTED, WEIGHED.replace("A", "-3").replace("B", "2")), ae(ROUTED, WEIGHED.replace("A", "0").replace("B", "1")), "equivalent", {}),
    "no weights": (ae(ROUTED, WEIGHED.replace("A", "-3").replace("B", "0")), ae(ROUTED, WEIGHED.replace("A", "0").replace("B", "-1")), "equivalent", {}),
    "the least weight that turns count": (ae(ROUTED, WEIGHED.replace("A", "0.000001").replace("B", "1")), ae(ROUTED, WEIGHED.replace("A", "1").replace("B", "1000000")), "equivalent", {}),
    "a weight that turns round": (ae(ROUTED, WEIGHED.replace("A", "0.0000005").replace("B", "1")), ae(ROUTED, WEIGHED.replace("A", "1").replace("B", "2000000")), "undecided", {"unproven": ("pool p",)}),
    "nobody has a weight": (ae(ROUTED, WEIGHED.replace("A", "null").replace("B", "2")), ae(ROUTED, WEIGHED.replace("A", "null").replace("B", "1")), "undecided", {"unproven": ("pool p",)}),
    "a book for other accounts": (ae(ALL, BOOK.replace("LEAST", "1")), ae(ALL, BOOK.replace("LEAST", "2")), "undecided", {"fields": [("account.own_able", "own_able", "not own_able")], "unproven": ("account.own_able",)}),
    "a refusal names another rule": (ae(ALL, CLAIMS.replace("NAME", "p").replace("BECAUSE", "")), ae(ALL, CLAIMS.replace("NAME", "q").replace("BECAUSE", "")), "undecided", {"unproven": ("claims",)}),
    "a refusal says the same": (ae(ALL, CLAIMS.replace("NAME", "p").replace("BECAUSE", ", because: no")), ae(ALL, CLAIMS.replace("NAME", "q").replace("BECAUSE", ", because: no")), "equivalent", {}),
    "a rank among others": (two("account.place.rank = 1", ranked("country")), two("account.place.rank = 1", ranked("state")), "undecided", {"unproven": ("account.place_within",)}),
    # territories and credits
    "a territory that is no table": (ae(ALL, "define: {account.territory: account.state}\n"), ae(ALL, "define: {account.territory: account.country}\n"), "undecided", {"unproven": ("account.territory",)}),
    "territories instead of a definition": (ae(ALL, "define: {account.territory: account.state}\n"), ae(ALL, territories("{name: us, country: US}")), "undecided", {"unproven": ("account.territory",)}),
    "territories of two entities": (ae(ALL, territories("{name: us, country: US}", BOTH)), ae(ALL, territories("{name: us, country: CA}", BOTH)), "different", {"differences": [("account.territory", "us", ""), ("account.territory", "", "us")], "fields": [("lead.territory", "us", ""), ("lead.territory", "", "us")], "unproven": ("lead.territory", "account.territory")}),
    "a territory that stays a definition, and territories that differ": (ae(ALL, STATE + territories("{name: us, country: US}", ", for: lead")), ae(ALL, STATE + territories("{name: us, country: CA}", ", for: lead")), "undecided", {"fields": [("lead.territory", "us", ""), ("lead.territory", "", "us")], "unproven": ("lead.territory",)}),
    "a territory that is another definition, and territories that differ": (ae(ALL, STATE + territories("{name: us, country: US}", ", for: lead")), ae(ALL, STATE.replace("state", "city") + territories("{name: us, country: CA}", ", for: lead")), "undecided", {"fields": [("lead.territory", "us", ""), ("lead.territory", "", "us")], "unproven": ("account.territory", "lead.territory")}),
    "territories of records that nobody decides": (ae(ALL).replace("{account: {ae", "{lead: {sdr"), ae(ALL, territories("{name: us, country: US}")).replace("{account: {ae", "{lead: {sdr"), "undecided", {"fields": [("account.territory", "", "us")], "unproven": ("account.territory",)}),
    "a credit is shared otherwise": (ae(ALL, credits("src")), ae(ALL, credits("src", share=50)), "different", {"differences": [("credit src", "own", "own")]}),
    "credits have other names, and one says something else": (ae(ALL, credits("one", "src")), ae(ALL, credits("two", "src", when="not(account.flag)")), "different", {"differences": [("credit src", "own", ""), ("credit src", "", "own")], "fields": [("account.src", "own", ""), ("account.src", "", "own")], "unproven": ("credit two", "credit one", "order of credits", "account.src")}),
    # what decides nothing
    "what is watched reads another field": (ae(ALL, define("count(account.activities) > 3") + READS_IT), ae(ALL, define("count(account.activities) > 4") + READS_IT), "equivalent", {"possible": [("account.big", "big", "not big")], "beside": ("invariant i", "report r")}),
}  # fmt: skip


WHOLE = """
roe: 1
name: x
roles: [ae, sdr]
fields: {account: {n: number, m: number, t: string, flag: boolean}, lead: {size: number}, rep: {level: number}}
lists: {named: [a, b], teams: [S, T], kinds: [g]}
define:
  account.big: account.n > 3
  account.calls: count(account.activities) > 3
  account.rich: account.m > 5
  rep.senior: rep.level > 2
  lead.hot: lead.size > 1
scores: {place: {rank: {of: account.n, within: account.country}}}
tables:
  desk: {rows: [{n: "> 1", desk: x}, {t: a, desk: y}], default: z}
  zone: {rows: [{name: n, desk: x, region: N, part: u}, {name: s, m: "> 2", region: S, part: v}]}
  owner_team: {rows: [{flag: "true", owner_team: x}]}
territories: {hit: first, for: [account, lead], rows: [{name: us, country: US}, {name: de, country: DE}]}
pools:
  p: {members: rep.team in teams, strategy: weighted, weight: "if rep.senior then 4.5 else 1.5"}
  q: {members: rep.team in kinds}
credits:
  one: {for: account, rules: [{name: own, when: account.big, shares: {account.owner.ae: 100}, because: owned}]}
  src: {for: account, rules: [{name: own, when: account.flag, shares: {account.owner.ae: 100}}]}
books: {core: {role: ae, accounts: account.m > 1, reps: rep.team = "A", capacity: 10, value: account.n}}
claims: {role: ae, lasts: 20 days, blocked_by: [{name: blocks, when: account.n > 400}]}
invariants: [{name: i, every: account, holds: account.calls}]
reports: {r: {measures: {n: account.calls}}}
engagement:
  account:
    ae:
      - {name: fits, when: account.t in named, then: keep, because: so}
      - {name: big, when: account.big and account.n < 90, then: hold}
      - {name: calls, when: account.calls, then: open, because: calls}
      - {name: ranked, when: account.place.rank = 1, then: {route: p}}
      - {name: region, when: 'account.zone.region = "N"', then: {route: q}}
      - {name: rest, then: return}
  lead:
    sdr: [{name: hot, when: lead.hot, then: keep, because: so}, {name: cold, then: open, because: so}]
"""
OTHERS = """  opportunity:
    ae: [{name: ours, then: {assign: '"ann"'}, because: so}]
"""
IN_OTHER_WORDS = {
    "named": "top", "teams": "groups", "account.big": "account.large", "rep.senior": "rep.elder", "desk": "office", "account.n > 3": "3 < account.n",
    "4.5 else 1.5": "3 else 1", "region: N, part: u": "part: u, region: N", "when: account.flag,": "when: not(not(account.flag)),",
    "{name: us, country: US}, {name: de, country: DE}": "{name: de, country: DE}, {name: us, country: US}", "[g]": "[g], unread: [u]",
    "  account.rich: account.m > 5\n": "", "account.n < 90": "not(account.n >= 90)",
}  # fmt: skip
OTHERWISE = {
    "[g]": "[h]", "4.5 else": "4 else", "name: blocks": "name: stops", "activities) > 3": "activities) > 4", 'flag: "true"': 'flag: "false"',
    "country: DE": "country: FR", "when: account.flag,": "when: not(account.flag),", "because: owned": "because: had", "within: account.country": "within: account.state",
    "account.m > 5": "account.m > 6", "account.m > 1": "account.m > 2", "lead.size > 1": "lead.size > 2", "  lead:\n": f"{OTHERS}  lead:\n",
}  # fmt: skip


CIRCLE = HEAD + """
define: {opportunity.alpha: opportunity.k > 7, opportunity.beta: opportunity.k > 1}
scores: {zeta: {rank: {of: account.WHAT, within: account.country}}}
tables:
  alpha: {for: account, rows: [{zeta.rank: "> 1", alpha: p}, {"count(account.opportunities[beta])": "> 3", alpha: q}], default: r}
  beta: {for: account, rows: [{alpha: p, beta: s}], default: t}
engagement: {account: {ae: [{name: a, when: 'account.beta = "s"', then: hold, because: so}, {name: b, then: open, because: so}]}}
"""  # fmt: skip
BY_TEXT = [
    (two("account.big and account.n > 1", define("account.m > 3")), two("account.big and account.n > 1", define("account.m > 3")), "equivalent"),
    (two(DESK, table('{n: "> 1", desk: x}, {t: "p, q", desk: y}')), two(DESK, table('{n: "> 1", desk: x}, {t: "p, q", desk: y}')), "equivalent"),
    (ae(ALL, territories('{name: us, n: "? > 1"}, {name: de, country: DE}')), ae(ALL, territories('{name: us, n: "1 < ?"}, {name: de, country: DE}')), "equivalent"),
    (ae(ALL, credits("src")), ae(ALL, credits("src")), "equivalent"),
    (two("account.big", define("account.n > 3")), two("account.big", define("account.n > 4")), "undecided"),
]  # fmt: skip


def changed(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


POLICIES = {
    **{f"{name}, {when}": text for name, row in ROWS.items() for when, text in zip(("before", "after"), row[:2], strict=True)},
    **{f"whole{i}": changed(WHOLE, changes) for i, changes in enumerate(({}, IN_OTHER_WORDS, OTHERWISE))},
    **{f"circle of {name}": CIRCLE.replace("WHAT", name) for name in ("n", "m")},
    **{f"by text, {i}": text for i, text in enumerate(text for before, after, _ in BY_TEXT for text in (before, after))},
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_policies_that_are_compared_load(name: str) -> None:
    """They are made once, for the tests below too."""
    assert compiled(POLICIES[name]).policy.name == "x"


def told(found: Comparison) -> Told:
    """What stands under each heading, where there is anything."""
    cases = {
        name: [(d.where, d.before, d.after) for d in getattr(found, name)] for name in ("differences", "fields", "renamed", "possible")
    }
    said: Told = {**cases, "unproven": found.unproven, "beside": found.beside}
    return {name: x for name, x in said.items() if x}


@pytest.mark.parametrize("name", ROWS)
def test_everything_that_is_said_of_two_policies(name: str) -> None:
    before, after, verdict, expected = ROWS[name]
    found = compare(compiled(before), compiled(after))
    assert (found.verdict, told(found)) == (verdict, expected) and found.same is (verdict == "equivalent")


def test_a_whole_policy_in_other_words() -> None:
    old, new = compiled(WHOLE), compiled(changed(WHOLE, IN_OTHER_WORDS))
    found = compare(old, new)
    assert (found.verdict, told(found)) == ("equivalent", {})


def test_a_whole_policy_that_decides_otherwise() -> None:
    found = compare(compiled(WHOLE), compiled(changed(WHOLE, OTHERWISE)))
    differences = {
        "lead.hot": [("hot", "not hot")],
        "account.territory": [("de", ""), ("", "de")],
        "lead.territory": [("de", ""), ("", "de")],
        "engagement of opportunity as ae": [("", "ours")],
        "engagement of lead as sdr": [("hot", "cold")],
        "credit one": [("own", "own")],
        "credit src": [("own", ""), ("", "own")],
    }
    fields = {
        "account.rich": [("rich", "not rich")],
        "account.owner_team": [("x", ""), ("", "x")],
        "account.src": [("own", ""), ("", "own")],
        "account.core_able": [("core_able", "not core_able")],
    }
    assert found.verdict == "different"
    assert told(found) == {
        "differences": [(where, *x) for where, pairs in differences.items() for x in pairs],
        "fields": [(where, *x) for where, pairs in fields.items() for x in pairs],
        "possible": [("account.calls", "calls", "not calls"), (AE, "calls", "ranked")],
        "unproven": (
            AE, "order of roles of opportunity", "account.owner_team", "account.core_able", "account.territory", "lead.territory", "pool p", "list kinds", "claims",
            "account.src",
        ),
        "beside": ("invariant i", "report r"),
    }  # fmt: skip


def beside(name: str) -> _Comparing:
    """The two policies of a row, before anything is compared but names."""
    before, after, *_ = ROWS[name]
    return _Comparing(compiled(before), compiled(after))


def test_fields_of_the_old_policy_have_the_names_of_the_new_one() -> None:
    before, after, *_ = ROWS["two tables have other names, and the reader stands first"]
    made = _Comparing(compiled(before), compiled(after))
    assert made.labels == {("account", "zone"): "region", ("account", "desk"): "office"}
    assert made.origin == {("account", "region"): ("account", "zone"), ("account", "office"): ("account", "desk")}
    back = _Comparing(compiled(after), compiled(before))
    assert back.labels == {("account", "region"): "zone", ("account", "office"): "desk"}
    assert _Comparing(compiled(before), compiled(before)).labels == {}
    assert beside("two tables have other names, and one says something else").labels == {}, (
        "the reader is not the same without what it reads"
    )
    made = beside("a list has another name where a pool asks for it")
    assert made.lists == made.meanings[0].lists == {"named": "top"} and made.labels == {}


def test_what_makes_a_difference_to_a_part_that_reads_a_name() -> None:
    made = _Comparing(*(compiled(CIRCLE.replace("WHAT", name)) for name in ("n", "m")))
    for name, why in (
        ("alpha", {"account.zeta"}),
        ("beta", {"account.zeta"}),
        ("zeta_within", set()),
        ("k", set()),
        ("zeta", {"account.zeta"}),
    ):
        assert made.unsettled({name}) == why
    assert [made.settled(("account", name)).same for name in ("alpha", "beta", "zeta", "zeta_within")] == [False, False, False, True]
    assert made.settled(("opportunity", "alpha")).same and made.settled(("opportunity", "beta")).same
    assert made.begun({"zeta"}) >= {"zeta", "zeta_within"} and made.begun({"", "alph"}) == {"", "alph"}
    lists = beside("a list says something else where a pool asks for it")
    assert lists.unsettled({"named", "n"}) == {"list named"} and lists.unsettled({"n"}) == set()


@pytest.mark.parametrize("name", ["a definition says something else", "rules for other records", "a rep by an `if`, and by two rules"])
def test_lists_of_rules_that_decide(name: str) -> None:
    """Without anything else of the policies: where the rules give something else, and what is not known."""
    made = beside(name)
    made._engagement()
    wanted = [x for x in ROWS[name][3].get("differences", ()) if str(x[0]).startswith("engagement")]
    assert (
        [(d.where, d.before, d.after) for d in made.differences] == wanted
        and not made.unproven
        and all(d.decides for d in made.differences)
    )


@pytest.mark.parametrize("name", [x for x in ROWS if "territor" in x])
def test_territories_by_their_names(name: str) -> None:
    made = beside(name)
    made._territories()
    expected = ROWS[name][3]
    assert set(made.unproven) == {*expected.get("unproven", ())} - {x[0] for x in expected.get("differences", ())}


@pytest.mark.parametrize(("before", "after", "expected"), [
    ("a book for other accounts", None, ["account.own_able"]),
    ("a list says something else where a pool asks for it", None, ["list named"]),
    ("weights below nothing", None, []),
    (ae(ALL, table("{n: \"> 1\", owner_team: x}", "owner_team")), ae(ALL, table("{n: \"> 2\", owner_team: x}", "owner_team")), ["account.owner_team"]),
    (ae(ALL), ae(ALL).replace("roles:", "profile: hubspot\nroles:"), ["account.id", "account.name", "profile"]),
    (ae(ALL), ae(ALL).replace("m: number", "m: {type: number, required: true}"), ["account.m"]),
])  # fmt: skip
def test_parts_that_are_no_lists_are_compared_by_their_texts(before: str, after: str | None, expected: list[str]) -> None:
    made = beside(before) if after is None else _Comparing(compiled(before), compiled(after))
    made._rest()
    assert list(dict.fromkeys(x for x in made.unproven if x in expected)) == expected and bool(made.unproven) == bool(expected)


def test_names_that_differ_are_those_of_one_comparison_alone() -> None:
    """A policy that is compared with many is read once in its own names, and anew where the other has other names for something."""
    text = ae(ROUTED, "define: {rep.senior: count(rep.activities) > 2}\npools: {p: {members: rep.senior}}\n")
    old, new = compiled(text), compiled(text.replace("senior", "elder"))
    for one, other in ((old, old), (old, new), (new, old), (old, old)):
        assert compare(one, other).verdict == "equivalent"


def undecided(*given: Any, **more: Any) -> Any:
    raise Undecided


@pytest.mark.parametrize(("before", "after", "wanted"), BY_TEXT)
def test_what_says_the_same_is_not_compared_by_cells(before: str, after: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cells there are, lists of rules with one text are equal."""
    monkeypatch.setattr("roe.analysis.equivalence.Pair", undecided)
    assert compare(compiled(before), compiled(after)).verdict == wanted


def test_a_field_is_not_the_same_because_what_rests_on_it_was_looked_at_first() -> None:
    """By their names, `alpha` and `beta` of accounts rest on each other; by what they are, `beta` rests on `alpha` alone.

    Of two accounts of one country, one has the most `n` and the other the most `m`.
    """
    sides: list[Evaluator] = [compiled(CIRCLE.replace("WHAT", name)) for name in ("n", "m")]
    accounts = [{"id": "A", "n": 1, "m": 9}, {"id": "B", "n": 2, "m": 3}]
    decided = [[d.rule for d in e.run({"account": accounts}, as_of="2026-01-01").decisions] for e in sides]
    assert decided == [["a", "b"], ["b", "a"]]
    found = compare(*sides)
    assert found.verdict == "undecided" and found.unproven == ("account.zeta",)
    assert compare(sides[0], sides[0]).verdict == "equivalent"


def test_lists_are_known_by_what_is_in_them() -> None:
    """The names that the new policy has for lists of the old one, and the lists of either that are another now."""
    known = compiled(WHOLE).policy.plan
    days = {"days": [DatedValue(Text("a", Inline()), date(2026, 1, 1))]}
    later = {"days": [DatedValue(Text("a", Inline()), date(2026, 1, 2))]}
    for old, new, labels, others in [
        ({"p": "ab"}, {"p": "ab"}, {}, set()),
        ({"p": "ab"}, {"q": "ab"}, {"p": "q"}, set()),
        ({"p": "ab"}, {"p": "ac"}, {}, {"p"}),
        ({"p": "ab"}, {"q": "ac"}, {}, {"p", "q"}),
        ({"p": "ab"}, {"q": "ba"}, {}, {"p", "q"}),
        ({"p": "ab", "q": "ab"}, {"q": "ab"}, {}, {"p"}),  # the other stands for itself
        ({"p": "ab"}, {"p": "ac", "q": "ab"}, {}, {"p", "q"}),
        ({"p": "ab", "q": "c"}, {"r": "ab", "q": "d"}, {"p": "r"}, {"q"}),
        ({}, {"p": "ab"}, {}, {"p"}),
        ({"p": "ab"}, {}, {}, {"p"}),
    ]:
        plans = [replace(known, lists={name: list(x) for name, x in side.items()}, dated_lists={}) for side in (old, new)]
        assert same_lists(plans[0], plans[1]) == (labels, others), (old, new)
    dated = [replace(known, lists={}, dated_lists=x) for x in (days, {"others": days["days"]}, later)]
    assert same_lists(dated[0], dated[1]) == ({"days": "others"}, set())
    assert same_lists(dated[0], dated[2]) == ({}, {"days"})
    assert same_lists(dated[0], replace(known, lists={"days": ["a"]}, dated_lists={})) == ({}, {"days"})
