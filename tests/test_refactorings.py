"""Other spellings of one policy: none of them is called different, and what cannot be compared is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import roe
from helpers import compiled, policy_text
from roe.analysis.equivalence import Comparison, compare

# name -> what stands in the policy before and after (texts that are replaced), and the verdict where it is not "equivalent"
HEAD = """
roe: 1
name: x
roles: [ae, sdr]
fields: {account: {segment: {type: string, values: [SMB, Mid, Ent]}, cost: number, profit: number, flag: boolean}}
"""
RULES = """
engagement:
  account:
    ae:
      - {name: first, when: 'WHEN', then: keep}
      - {name: rest, then: open}
"""


def rule(when: str, more: str = "") -> str:
    return HEAD + more + RULES.replace("WHEN", when.replace("'", "''"))


def ae(rules: str, more: str = "") -> str:
    return HEAD + more + "engagement: {account: {ae: [" + rules + "]}}\n"


SAID = ", because: said"  # so that no sentence names the rule
TABLE = "tables: {desk: {DESK}}\n"
READS = '{name: a, when: account.desk = "x", then: keep}, {name: b, then: open}'
CALLS = 'account.activities[type = "call"]'


def table(before: str, after: str) -> tuple[str, str]:
    reads = "{name: a, when: 'account.desk = \"x\"', then: keep}, {name: b, then: open}"
    return ae(reads, f"tables: {{desk: {{{before}}}}}\n"), ae(reads, f"tables: {{desk: {{{after}}}}}\n")


INVARIANTS = "invariants: [{}]\n"
TWO_ROLES = ("ae: [{name: a, when: account.flag, then: keep}, {name: b, then: open}]", "sdr: [{name: a, then: {route: p}}]")
ROLES = "pools: {{p: {{members: [ann]}}}}\nengagement: {{account: {{{}, {}}}}}\n"


def weighted(weight: str) -> str:
    pool = f"{{members: 'rep.team = \"S\"', strategy: weighted, weight: '{weight}'}}"
    return ae("{name: a, then: {route: p}}", f"pools: {{p: {pool}}}\n")


def read(field: str) -> str:
    return f"{{name: a, when: 'account.{field} = \"x\"', then: keep}}, {{name: b, then: open}}"


def a_table(name: str, country: str = "US", more: str = "") -> str:
    return f"{name}: {{rows: [{{country: {country}, {name}: x}}, {{country: DE, {name}: y}}]{more}}}"


def tables(read_field: str, *texts: str) -> str:
    return ae(read(read_field), "tables: {" + ", ".join(texts) + "}\n")


def zones(zone: str, desk: str, country: str = "DE") -> tuple[str, str]:
    """A table of zones, and one that reads it."""
    rows = f"[{{country: US, {zone}: N}}, {{country: {country}, {zone}: S}}]"
    return f"{zone}: {{rows: {rows}}}", f"{desk}: {{rows: [{{{zone}: N, {desk}: x}}, {{{zone}: S, {desk}: y}}]}}"


ONE = "{name: all, then: keep}"


def credit(more: str = "", when: str = "account.flag", entity: str = "account", name: str = "src") -> str:
    share = "{account.owner.ae: 100}" if entity == "account" else "{lead.owner.sdr: 100}"
    return ae(ONE, f"credits: {{{name}: {{for: {entity}, rules: [{{name: own, when: {when}, shares: {share}{more}}}]}}}}\n")


def hot(limit: int) -> str:
    return ae(ONE, f"events: {{account.hot: {{when: account.cost > {limit}}}}}\n")


US, DE = "{name: us, country: US}", "{name: de, country: DE}"
STAFF = "{territory: us, role: ae, rep: ann}, {territory: de, role: ae, rep: ben}"


def territories(rows: str, staff: str = "") -> str:
    staffing = f", staffing: [{staff}]" if staff else ""
    return ae("{name: t, then: {assign: territory_owner}}" if staff else ONE, f"territories: {{hit: first, rows: [{rows}]{staffing}}}\n")


CASES: dict[str, tuple[str, str] | tuple[str, str, str]] = {
    "a definition is written out": (rule("account.big", "define: {account.big: account.employees > 100}\n"), rule("account.employees > 100")),
    "a definition is taken out": (rule('account.employees > 100 and account.country = "US"'), rule('account.big and account.country = "US"', "define: {account.big: account.employees > 100}\n")),
    "a definition has another name": (rule("account.big", "define: {account.big: account.employees > 100}\n"), rule("account.large", "define: {account.large: account.employees > 100}\n")),
    "a definition of an amount is written out": (rule("account.margin > 5", "define: {account.margin: account.profit - account.cost}\n"), rule("account.profit - account.cost > 5")),
    "a definition that counts has another name": (rule("account.calls > 3", f"define: {{account.calls: 'count({CALLS})'}}\n"), rule("account.rings > 3", f"define: {{account.rings: 'count({CALLS})'}}\n")),
    "a definition in a definition is written out": (rule("account.b", "define: {account.a: account.employees * 2, account.b: account.a > 10}\n"), rule("account.b", "define: {account.b: account.employees * 2 > 10}\n")),
    "a definition that nobody reads is removed": (rule("account.flag", "define: {account.big: account.employees > 100}\n"), rule("account.flag")),
    "conditions in another order": (rule('account.flag and account.employees > 100 and account.country = "US"'), rule('account.country = "US" and account.employees > 100 and account.flag')),
    "alternatives in another order": (rule('account.flag or account.employees > 100'), rule("account.employees > 100 or account.flag")),
    "conditions of a filter in another order": (rule('count(account.activities[type = "call" and date > today - 30 days]) > 2'), rule('count(account.activities[date > today - 30 days and type = "call"]) > 2')),
    "a range is split": (ae(f"{{name: a, when: 'account.employees in [10..500]', then: keep{SAID}}}, {{name: c, then: open}}"), ae(f"{{name: a, when: 'account.employees in [10..100)', then: keep{SAID}}}, {{name: b, when: 'account.employees in [100..500]', then: keep{SAID}}}, {{name: c, then: open}}")),
    "a range is split, and sentences name the rule": (rule("account.employees in [10..500]"), ae("{name: first, when: 'account.employees in [10..100)', then: keep}, {name: second, when: 'account.employees in [100..500]', then: keep}, {name: rest, then: open}"), "same outcome"),
    "two rules become one": (ae(f"{{name: a, when: account.flag, then: keep{SAID}}}, {{name: b, when: account.employees > 9, then: keep{SAID}}}, {{name: c, then: open}}"), ae(f"{{name: ab, when: account.flag or account.employees > 9, then: keep{SAID}}}, {{name: c, then: open}}")),
    "a range of a table is split": table('rows: [{employees: ">= 10", desk: x}]', 'rows: [{employees: "[10..99]", desk: x}, {employees: "> 99", desk: x}]'),
    "a table for rules": (
        ae(f"{{name: a, when: 'account.employees > 100', then: keep{SAID}}}, {{name: b, then: open}}"),
        ae(f"{{name: t, when: 'account.t = \"k\"', then: keep{SAID}}}, {{name: b, then: open}}", "tables: {t: {rows: [{employees: '> 100', t: k}]}}\n"),
    ),
    "a chain of `if` for a table": (ae("{name: a, when: 'account.desk = \"x\"', then: keep}, {name: b, then: open}", "tables: {desk: {rows: [{employees: '>= 10', desk: x}, {segment: Ent, desk: y}], default: z}}\n"), ae("{name: a, when: 'account.desk = \"x\"', then: keep}, {name: b, then: open}", "define: {account.desk: 'if account.employees >= 10 then \"x\" else if account.segment = \"Ent\" then \"y\" else \"z\"'}\n")),
    "`some` for a count": (rule('count(account.activities[type = "call"]) > 0'), rule('some a in account.activities satisfies a.type = "call"')),
    "a count of at least one": (rule('count(account.activities[type = "call"]) > 0'), rule('count(account.activities[type = "call"]) >= 1')),
    "`some` with a variable of another name": (rule('some a in account.activities satisfies a.type = "call" and a.date > today - 3 days'), rule('some b in account.activities satisfies b.date > today - 3 days and b.type = "call"')),
    "not (a or b)": (rule("not(account.flag or account.employees > 5)"), rule("not(account.flag) and not(account.employees > 5)")),
    "not (a and b)": (rule("not(account.flag and account.employees > 5)"), rule("not(account.flag) or account.employees <= 5")),
    "not not": (rule("account.employees > 5"), rule("not(not(account.employees > 5))")),
    "a comparison from the other side": (rule("account.employees > 5"), rule("5 < account.employees")),
    "a comparison of two fields from the other side": (rule("account.profit > account.cost"), rule("account.cost < account.profit")),
    "`between` for two comparisons": (rule("account.employees >= 5 and account.employees <= 9"), rule("account.employees between 5 and 9")),
    "a range for two comparisons": (rule("account.employees >= 5 and account.employees < 9"), rule("account.employees in [5..9)")),
    "`in` for `or`": (rule('account.country = "US" or account.country = "DE"'), rule('account.country in ("DE", "US")')),
    "`in` for `or` in a filter": (rule('count(account.activities[type = "call" or type = "mail"]) > 2'), rule('count(account.activities[type in ("mail", "call")]) > 2')),
    "`not in` for `!=`": (rule('account.country != "US" and account.country != "DE" and account.country != null'), rule('account.country not in ("DE", "US") and account.country != null')),
    "a list is written out": (rule("account.domain in named", "lists: {named: [a.com, b.com]}\n"), rule('account.domain in ("b.com", "a.com")')),
    "a list has another name": (rule("account.domain in named", "lists: {named: [a.com, b.com]}\n"), rule("account.domain in top", "lists: {top: [b.com, a.com]}\n")),
    "a list in another order, in a filter": (rule("count(account.activities[type in kinds]) > 1", "lists: {kinds: [call, mail]}\n"), rule("count(account.activities[type in kinds]) > 1", "lists: {kinds: [mail, call]}\n")),
    "a list that nobody reads": (rule("account.flag", "lists: {named: [a.com]}\n"), rule("account.flag")),
    "a row stands twice": table('rows: [{country: US, desk: x}, {country: DE, desk: y}, {country: US, desk: x}]', 'rows: [{country: US, desk: x}, {country: DE, desk: y}]'),
    "a dead rule is removed": (ae("{name: a, when: account.employees > 5, then: keep}, {name: b, when: account.employees > 9, then: hold}, {name: c, then: open}"), ae("{name: a, when: account.employees > 5, then: keep}, {name: c, then: open}")),
    "rules that exclude each other change places": (ae("{name: a, when: account.employees > 5, then: keep}, {name: b, when: account.employees < 2, then: hold}, {name: c, then: open}"), ae("{name: b, when: account.employees < 2, then: hold}, {name: a, when: account.employees > 5, then: keep}, {name: c, then: open}")),
    "rows that exclude each other change places": table("hit: unique, rows: [{country: US, desk: x}, {country: DE, desk: y}]", "hit: unique, rows: [{country: DE, desk: y}, {country: US, desk: x}]"),
    "a default for a last row": table("rows: [{country: US, desk: x}, {desk: y}]", "rows: [{country: US, desk: x}], default: y"),
    "rows of two values become one row of both": table("rows: [{country: US, desk: x}, {country: DE, desk: x}]", "rows: [{country: 'US, DE', desk: x}]"),
    "another hit policy of rows that exclude each other": table("hit: unique, rows: [{country: US, desk: x}, {country: DE, desk: y}]", "hit: first, rows: [{country: US, desk: x}, {country: DE, desk: y}]"),
    "a function by its spaced name": (rule('starts_with(account.name, "A")'), rule('starts with(account.name, "A")')),
    "a function with named arguments": (rule('starts_with(account.name, "A")'), rule('starts_with(string: account.name, match: "A")')),
    "a duration written otherwise": (rule("account.created > today - 30 days"), rule('account.created > today - @"P30D"')),
    "a number written otherwise": (rule("account.employees > 100"), rule("account.employees > 100.0")),
    "a true flag": (rule("account.flag"), rule("account.flag = true")),
    "a condition that always holds": (rule("account.flag"), rule("account.flag and true")),
    "whole numbers with another limit": (rule("count(account.activities) > 3"), rule("count(account.activities) >= 4")),
    "a product in another order": (rule("account.profit * account.cost > 3"), rule("account.cost * account.profit > 3")),
    "a field in a sentence written out": (ae("{name: a, when: account.flag, then: keep, because: '{account.margin} of margin'}", "define: {account.margin: account.profit - account.cost}\n"), ae("{name: a, when: account.flag, then: keep, because: '{account.profit - account.cost} of margin'}")),
    "a table has another name": (tables("desk", a_table("desk")), tables("office", a_table("office"))),
    "two tables have other names, of which one reads the other": (tables("desk", *zones("zone", "desk")), tables("office", *zones("region", "office")[::-1])),
    "two tables have other names, the reader stands first": (tables("desk", *zones("zone", "desk")[::-1]), tables("office", *zones("region", "office"))),
    "of two equal tables one is left, under another name": (tables("desk", a_table("desk"), a_table("other")), tables("office", a_table("office"))),
    "the condition of a credit is written otherwise": (credit(), credit(when="not(not(account.flag))")),
    "territories that exclude each other change places": (territories(f"{US}, {DE}"), territories(f"{DE}, {US}")),
    "territories with reps change places": (territories(f"{US}, {DE}", STAFF), territories(f"{DE}, {US}", STAFF)),
    "a territory is written in two rows": (territories("{name: us, country: 'US, CA'}"), territories(US + ", {name: us, country: CA}")),
    "another hit policy of territories that exclude each other": (territories(f"{US}, {DE}"), territories(f"{US}, {DE}").replace("hit: first", "hit: unique")),
    "a rep named by a definition": (ae("{name: a, then: {assign: account.who}}", "define: {account.who: 'if account.flag then \"ann\" else \"bob\"'}\n"), ae("{name: a, then: {assign: 'if account.flag then \"ann\" else \"bob\"'}}")),
    "an assignment split by its `if`": (ae(f"{{name: a, then: {{assign: 'if account.flag then \"ann\" else \"bob\"'}}{SAID}}}"), ae(f"{{name: a, when: account.flag, then: {{assign: '\"ann\"'}}{SAID}}}, {{name: b, then: {{assign: '\"bob\"'}}{SAID}}}")),
    "columns of a table in another order": (ae("{name: a, when: 'account.place.region = \"N\"', then: keep}, {name: b, then: open}", "tables: {place: {rows: [{country: US, region: N, zone: z}]}}\n"), ae("{name: a, when: 'account.place.region = \"N\"', then: keep}, {name: b, then: open}", "tables: {place: {rows: [{country: US, zone: z, region: N}]}}\n")),
    "a score that nobody reads": (rule("account.flag", "scores: {fit: {criteria: [{name: a, when: account.employees > 9, points: 5}]}}\n"), rule("account.flag", "scores: {fit: {criteria: [{name: a, when: account.employees > 9, points: 7}]}}\n")),
    "criteria of a score in another order": (rule("account.fit > 6", "scores: {fit: {criteria: [{name: a, when: account.employees > 9, points: 5}, {name: b, when: account.flag, points: 3}]}}\n"), rule("account.fit > 6", "scores: {fit: {criteria: [{name: b, when: account.flag, points: 3}, {name: a, when: account.employees > 9, points: 5}]}}\n")),
    "nothing is added": (ae("{name: a, when: account.margin > 5, then: keep, because: '{account.margin}'}", "define: {account.margin: account.profit - account.cost}\n"), ae("{name: a, when: account.margin + 0 > 5, then: keep, because: '{account.margin * 1}'}", "define: {account.margin: 0 + (account.profit - account.cost) / 1}\n")),
    "a minus before a minus": (rule("account.loss > 5", "define: {account.loss: -account.profit}\n"), rule("account.loss > 5", "define: {account.loss: -(-(-account.profit))}\n")),
    "not not of a flag": (rule("account.on = true", "define: {account.on: account.flag}\n"), rule("account.on = true", "define: {account.on: not(not(account.flag))}\n")),
    "a constant worked out": (rule("account.employees > 100"), rule("account.employees > 10 * 9 + 10")),
    "days added at once": (ae("{name: a, when: account.flag, then: {assign: '\"ann\"', until: today + 30 days}}, {name: c, then: open}"), ae("{name: a, when: account.flag, then: {assign: '\"ann\"', until: today + 10 days + 20 days}}, {name: c, then: open}")),
    "constants in a sentence worked out": (ae("{name: a, when: account.flag, then: keep, because: 'over {60 + 40} {\"E\" + \"MEA\"}'}"), ae("{name: a, when: account.flag, then: keep, because: 'over {100} {\"EMEA\"}'}")),
    "a condition that is always true before `then`": (rule("account.n > 5", "define: {account.n: 'if true then account.employees else 0'}\n"), rule("account.employees > 5")),
    "`some` is split by days": (ae(f"{{name: a, when: 'some x in account.activities satisfies x.date > today - 90 days', then: keep{SAID}}}, {{name: c, then: open}}"), ae(f"{{name: a, when: 'some x in account.activities satisfies x.date > today - 30 days', then: keep{SAID}}}, {{name: b, when: 'some x in account.activities satisfies x.date > today - 90 days', then: keep{SAID}}}, {{name: c, then: open}}")),
    "a count that follows from another is left out": (rule("count(account.activities[date > today - 30 days]) > 0 and count(account.activities[date > today - 90 days]) > 0"), rule("count(account.activities[date > today - 30 days]) > 0")),
    "invariants in another order": (rule("account.flag", INVARIANTS.format("every account has exactly one ae, moved <= 5 %, {name: x, every: account, holds: account.flag}")), rule("account.flag", INVARIANTS.format("{name: x, every: account, holds: account.flag}, moved <= 5 %, every account has exactly one ae"))),
    "an invariant and a report that say something else": (rule("account.flag", INVARIANTS.format("moved <= 5 %") + "reports: {r: {measures: {n: account.flag}}}\n"), rule("account.flag", INVARIANTS.format("moved <= 9 %") + "reports: {r: {measures: {n: account.cost}}}\n")),
    "roles in another order": (HEAD + ROLES.format(*TWO_ROLES), HEAD + ROLES.format(*reversed(TWO_ROLES))),
    "weights in the same proportions": (weighted("if rep.region = \"N\" then 2 else 1"), weighted("if rep.region = \"N\" then 1 else 0.5")),
    "the sections of a policy in another order": (rule("account.big", "define: {account.big: account.employees > 5}\ntables: {desk: {rows: [{country: US, desk: x}]}}\n"), rule("account.big", "tables: {desk: {rows: [{country: US, desk: x}]}}\ndefine: {account.big: account.employees > 5}\n")),
}  # fmt: skip


def verdict(before: str, after: str) -> tuple[str, Comparison]:
    found = compare(compiled(before), compiled(after))
    assert found.verdict != "undecided" or found.unproven, "what could not be compared is named"
    return found.verdict, found


@pytest.mark.parametrize("name", CASES)
def test_a_refactoring_is_equivalent(name: str) -> None:
    before, after, *wanted = CASES[name]
    for one, other in ((before, after), (after, before)):
        said, found = verdict(one, other)
        assert said == (wanted[0] if wanted else "equivalent"), found


NOT_PROVEN = {  # what looks alike and decides otherwise, or may: the part that is named
    "two roles that take turns, in another order": (HEAD + ROLES.format(*(x.replace("keep", "{route: p}") for x in TWO_ROLES)), HEAD + ROLES.format(*reversed([x.replace("keep", "{route: p}") for x in TWO_ROLES])), "order of roles of account"),
    "another first role": (rule("account.flag"), rule("account.flag").replace("roles: [ae, sdr]", "roles: [sdr, ae]"), "roles"),
    "weights in other proportions": (weighted('if rep.region = "N" then 2 else 1'), weighted('if rep.region = "N" then 4 else 1'), "pool p"),
    "a weight that turns would round": (weighted('if rep.region = "N" then 0.0000002 else 1'), weighted('if rep.region = "N" then 0.0000004 else 2'), "pool p"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_what_may_decide_otherwise_is_named(name: str) -> None:
    before, after, part = NOT_PROVEN[name]
    said, found = verdict(before, after)
    assert said == "undecided" and part in found.unproven, found


def test_what_differs_and_decides_nothing_is_named() -> None:
    before, after, *_ = CASES["an invariant and a report that say something else"]
    _, found = verdict(before, after)
    assert set(found.beside) == {"invariant moved <= 9 %", "invariant moved <= 5 %", "report r"}
    _, found = verdict(*CASES["invariants in another order"][:2])
    assert found.beside == ()


# name -> before, after, the verdict, where records are found that are decided otherwise, and what is named as not compared
OTHERWISE: dict[str, tuple[str, str, str, set[str], set[str]]] = {
    "a credit is added": (ae(ONE), credit(), "undecided", set(), {"credit src"}),
    "a credit is for other records": (credit(), credit(entity="lead", when="true"), "undecided", set(), {"credit src"}),
    "a credit has another name": (credit(), credit(name="other"), "undecided", set(), {"credit src", "credit other"}),
    "a credit says something else": (credit(", because: a"), credit(", because: b"), "different", {"credit src"}, set()),
    "a credit is for others": (credit(), credit(when="not(account.flag)"), "different", {"credit src"}, set()),
    "a pool is added": (ae(ONE), ae(ONE, "pools: {p: {members: [ann]}}\n"), "undecided", set(), {"pool p"}),
    "roles in another order": (ae(ONE), ae(ONE).replace("[ae, sdr]", "[sdr, ae]"), "undecided", set(), {"roles"}),
    "a window is added": (ae(ONE), ae(ONE, "windows: {w: {role: ae, lasts: 30 days}}\n"), "undecided", set(), {"window w"}),
    "a window lasts longer": (ae(ONE, "windows: {w: {role: ae, lasts: 30 days}}\n"), ae(ONE, "windows: {w: {role: ae, lasts: 31 days}}\n"), "different", {"account.w_state"}, set()),
    "rules for other records": (ae(ONE), ae(ONE).replace("engagement: {", "engagement: {lead: {sdr: [{name: l, then: {assign: '\"ann\"'}}]}, "), "different", {"engagement of lead as sdr"}, {"order of roles of lead"}),
    "rules for records that one policy does not know": (ae(ONE), ae(ONE).replace("keep", "open").replace("boolean}}", "boolean}, site: {size: number, owner: owners}}").replace("engagement: {", "engagement: {site: {ae: [{name: s, then: keep}]}, "), "different", {"engagement of account as ae"}, {"engagement of site as ae"}),
    "a territory has another name": (territories(US), territories(US.replace("us", "usa")), "different", {"account.territory"}, set()),
    "a territory is somewhere else": (territories(US), territories(US.replace("US", "CA")), "different", {"account.territory"}, set()),
    "there are territories": (ae(ONE), territories(US), "different", {"account.territory"}, set()),
    "a territory has another rep": (territories(f"{US}, {DE}", STAFF), territories(f"{US}, {DE}", STAFF.replace("ann", "cy")), "different", {"account.territory_owner.ae"}, set()),
    "an event that is an outcome itself": (hot(5), hot(6), "different", {"account.hot"}, set()),
    "an event is added": (ae(ONE), hot(6), "undecided", set(), {"event hot"}),
    "a table has another name and other rows": (tables("desk", *zones("zone", "desk")), tables("desk", *zones("region", "desk", "FR")), "undecided", set(), set()),
    "two tables have each other's names": (tables("desk", a_table("desk"), a_table("office", "FR")), tables("desk", a_table("office"), a_table("desk", "FR")), "different", {"engagement of account as ae"}, set()),
    "another order of outputs": (ae(read("desk"), "tables: {desk: {hit: priority, priority: [x, y], rows: [{country: US, desk: x}, {employees: '> 5', desk: y}]}}\n"), ae(read("desk"), "tables: {desk: {hit: priority, priority: [y, x], rows: [{country: US, desk: x}, {employees: '> 5', desk: y}]}}\n"), "different", {"engagement of account as ae"}, set()),
    "a field whose name begins as one of the records'": (ae(ONE, "tables: {" + a_table("owner_team") + "}\n"), ae(ONE, "tables: {" + a_table("owner_team", "FR") + "}\n"), "undecided", set(), {"account.owner_team"}),
    "a value of an earlier day for one of now": (ae("{name: a, when: account.size > 5, then: keep}, {name: b, then: open}", "freezes: {account.size: {value: account.cost, from: 2026-02-01}}\n"), rule("account.cost > 5"), "undecided", set(), {"engagement of account as ae"}),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_a_refactoring_is_shown_or_named(name: str) -> None:
    before, after, wanted, where, named = OTHERWISE[name]
    for one, other in ((before, after), (after, before)):
        said, found = verdict(one, other)
        assert said == wanted and isinstance(found, Comparison), found
        assert where <= {d.where for d in found.differences} and named <= set(found.unproven), found
        assert bool(found.differences) == bool(where), found


DATED = "domain,from,until\na.com,2026-01-01,\nb.com,,2026-06-01\n"
HELD = "{name: a, when: account.domain in LIST, then: keep}, {name: b, then: open}"


@pytest.mark.parametrize(
    ("name", "rows", "wanted"),
    [
        ("top", DATED, "equivalent"),
        ("named", DATED, "equivalent"),
        ("named", DATED.replace("2026-06-01", "2026-06-02"), "undecided"),
        ("top", DATED.replace("2026-01-01", "2026-01-02"), "undecided"),
    ],
)
def test_a_list_with_days_is_known_by_what_is_in_it(name: str, rows: str, wanted: str) -> None:
    texts = [ae(HELD.replace("LIST", x), f"lists: {{{x}: {{file: {x}.csv}}}}\n") for x in ("named", name)]
    found = [compiled(text, (f"{x}_csv", rows)) for text, x, rows in zip(texts, ("named", name), (DATED, rows), strict=True)]
    assert compare(*found).verdict == wanted


ROWS = "country,employees,desk\nUS,>= 10,x\nDE,,y\n"
READ = "engagement: {account: {ae: [{name: a, when: 'account.desk = \"x\"', then: keep}, {name: b, then: open}]}}\n"


def test_other_files_for_the_same_rules(tmp_path: Path) -> None:
    """Rows in the policy, in a CSV file and in a workbook; sections in a file of their own; the style of the YAML."""
    openpyxl = pytest.importorskip("openpyxl")
    inline = "tables: {desk: {rows: [{country: US, employees: '>= 10', desk: x}, {country: DE, desk: y}]}}\n"
    block = 'tables:\n  desk:\n    rows:\n      - country: US\n        employees: ">= 10"\n        desk: x\n      - country: "DE"\n        desk: y\n'
    from_file = "tables: {desk: {table: desk.csv}}\n"
    folders = {
        "inline": policy_text(tmp_path / "inline", HEAD + inline + READ),
        "block": policy_text(tmp_path / "block", HEAD + block + READ),
        "csv": policy_text(tmp_path / "csv", HEAD + from_file + READ, desk_csv=ROWS),
        "included": policy_text(tmp_path / "included", HEAD + "include: [more.yaml]\n", more_yaml=inline + READ),
    }
    folders["workbook"] = policy_text(tmp_path / "workbook", HEAD + "tables: {desk: {table: desk.xlsx}}\n" + READ)
    book = openpyxl.Workbook()
    for line in ROWS.splitlines():
        book.active.append(line.split(","))
    book.save(folders["workbook"] / "desk.xlsx")
    evaluators = {name: roe.compile(roe.load(folder)) for name, folder in folders.items()}
    for name, evaluator in evaluators.items():
        found = compare(evaluators["inline"], evaluator)
        assert found.verdict == "equivalent", (name, found)
