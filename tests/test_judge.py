"""Whether two policies decide one record differently: a row names a record, both policies, and whether anybody would notice."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from helpers import compiled
from roe.analysis.judge import Judge, decisions
from roe.analysis.witness import Witness

HEAD = "roe: 1\nname: x\nroles: [ae]\nfields: {account: {flag: boolean}}\n"
TODAY = date(2026, 2, 1)


def rules(*texts: str, more: str = "") -> str:
    return HEAD + more + "engagement: {account: {ae: [" + ", ".join(f"{{{x}}}" for x in texts) + "]}}\n"


def judge(old: str, new: str) -> Judge:
    return Judge(compiled(old), compiled(new))


def record(**facts: Any) -> Witness:
    return Witness("account", {tuple(name.split("__")): value for name, value in facts.items()}, TODAY)


KEEP, OPEN = "name: a, then: keep", "name: a, then: open"
HELD = "name: a, when: account.owner.ae != null, then: {}"
SINCE = "name: a, when: 'account.owner_since < today - {} days', then: keep"
REST = "name: rest, then: open"
POOL = rules("name: a, when: account.owner.ae != null, then: {route: p}", more="pools: {p: {members: [WHO]}}\n")


@pytest.mark.parametrize(
    ("old", "new", "witness", "differs"),
    [
        (rules(KEEP), rules(KEEP), record(), False),
        (rules(KEEP), rules(OPEN), record(), True),
        (rules(KEEP), rules(OPEN), Witness("account", {}, TODAY, given={("score",): 1}), False),  # nobody knows whether there is such a record
        # a rule of another name is noticed by nobody, unless a sentence of the policy says so
        (rules(KEEP), rules("name: b, then: keep"), record(), False),
        (rules("name: a, then: keep, because: said"), rules("name: b, then: keep, because: said"), record(), False),
        (rules("name: a, then: keep, because: said"), rules("name: a, then: keep, because: so"), record(), True),
        (rules(KEEP), rules("name: a, then: keep, because: said"), record(), True),
        (rules("name: a, then: keep, because: said"), rules(KEEP), record(), True),
        # a sentence of the policy that names its rule is not one of roe's own
        (rules("name: a, then: keep, because: rule `a`"), rules("name: b, then: keep, because: rule `b`"), record(), True),
        (rules("name: a, then: open, because: 'open, by rule `a`'"), rules("name: b, then: open"), record(), True),
        (rules("name: a, then: open, because: 'open, by rule `a`'"), rules(OPEN), record(), False),
        # rules for another role, and for none
        (rules(KEEP), rules(KEEP).replace("{ae:", "{sdr:").replace("[ae]", "[sdr]"), record(), True),
        (rules(KEEP), rules(KEEP).replace("{account: {ae:", "{lead: {ae:"), record(), True),
        # until when, and where no rule holds
        (rules("name: a, then: {assign: '\"ann\"', until: today + 3 days}"), rules("name: a, then: {assign: '\"ann\"', until: today + 4 days}"), record(), True),
        (rules("name: a, when: account.flag, then: open"), rules("name: a, when: account.flag, then: open"), record(flag=False), False),
        (rules("name: a, when: account.flag, then: open"), rules("name: a, when: not(account.flag), then: open"), record(flag=False), True),
        # the record alone, and with an owner since ten days
        (rules(HELD.format("keep"), REST), rules(HELD.format("return"), REST), record(), True),
        (rules(SINCE.format(5), REST), rules(SINCE.format(15), REST), record(), True),
        (rules(SINCE.format(5), REST), rules(SINCE.format(9), REST), record(), False),
        (rules(SINCE.format(9), REST), rules(SINCE.format(10), REST), record(), True),
        (rules(SINCE.format(10), REST), rules(SINCE.format(11), REST), record(), False),
        (rules(SINCE.format(11), REST), rules(SINCE.format(15), REST), record(), False),
        # whoever and whenever the record names is left as it is
        (rules(SINCE.format(5), REST), rules(SINCE.format(15), REST), record(owner_since=date(2026, 1, 1)), False),
        (rules(SINCE.format(5), REST), rules(SINCE.format(15), REST), record(owner__ae__name="Ann"), True),
        (rules("name: a, when: 'account.owner.ae.name = \"Ann\"', then: keep", REST), rules(REST), record(owner__ae__name="Ann"), True),
        (rules("name: a, when: 'account.owner.ae.name = \"Ann\"', then: keep", REST), rules(REST), record(owner__ae__name="Ben"), False),
        # what cannot be loaded is decided by nobody
        (rules(KEEP), rules(OPEN), record(employees="many"), False),
        # where the owner is the only rep, a pool of others has no members
        (POOL.replace("WHO", "ann"), POOL.replace("WHO", "ben"), record(), False),
    ],
)  # fmt: skip
def test_whether_a_record_is_decided_differently(old: str, new: str, witness: Witness, differs: bool) -> None:
    asked = judge(old, new)
    assert asked.differ(witness) is differs
    assert Judge(asked.evaluators[1], asked.evaluators[0]).differ(witness) is differs


def test_reps_whom_the_policies_name_may_be_there_too() -> None:
    pools = judge(POOL.replace("WHO", "ann"), POOL.replace("WHO", "ben"))
    assert not pools.differ(record()) and pools.differ(record(), named=True)


def test_an_owner_is_imagined_for_each_role_of_the_new_policy() -> None:
    """Who owns a record, has owned it for ten days."""
    asked = judge(rules(KEEP), rules(KEEP).replace("[ae]", "[ae, sdr]"))
    alone, owned = asked._worlds(record())
    assert alone["account"] == [{"id": "case"}]
    assert owned["account"] == [{"id": "case", "owner.ae": "case-ae", "owner.sdr": "case-sdr", "owner_since": "2026-01-22"}]
    assert owned["rep"] == [{"id": "case-ae"}, {"id": "case-sdr"}]
    alone, owned = judge(rules(KEEP), rules(KEEP))._worlds(record(parent__employees=5))
    assert len(alone["account"]) == len(owned["account"]) == 2 and owned["account"][1] == alone["account"][1]
    assert owned["account"][0] == {**alone["account"][0], "owner.ae": "case-ae", "owner_since": "2026-01-22"}


CREDIT = "credits: {src: {for: account, rules: [RULE]}, all: {for: account, rules: [{name: own, shares: {account.owner.ae: 100}}]}}\n"
OWN = "{name: own, when: account.flag, shares: {account.owner.ae: 100}}"
HALF = OWN.replace("{account.owner.ae: 100}", "{account.owner.ae: 50, account.parent.owner.ae: 50}")


@pytest.mark.parametrize(
    ("old", "new", "flag", "differs"),
    [
        (OWN, OWN, True, False),
        (OWN, OWN.replace("account.flag", "not(account.flag)"), True, True),
        (OWN, OWN.replace("account.flag", "not(account.flag)"), None, False),
        (OWN, HALF, True, True),
        (OWN, OWN.replace("account.owner", "account.parent.owner"), True, True),
        (OWN, OWN.replace("name: own", "name: mine"), True, False),  # the name of a rule is noticed by nobody
        (OWN.replace("100}", "100}, because: a"), OWN.replace("100}", "100}, because: b"), True, True),
        (OWN.replace("100}", "100}, because: a"), OWN.replace("100}", "100}, because: b").replace("own,", "mine,"), True, True),
        (OWN.replace("100}", "100}, because: a"), OWN.replace("100}", "100}, because: a").replace("own,", "mine,"), True, False),
    ],
)
def test_whether_a_record_is_credited_differently(old: str, new: str, flag: bool | None, differs: bool) -> None:
    """Only the credit that is asked for counts; nobody is credited with a record that nobody has."""
    asked = judge(*(rules(KEEP, more=CREDIT.replace("RULE", x)) for x in (old, new)))
    assert asked.credited("src", record(flag=flag)) is differs
    assert not asked.credited("all", record(flag=flag))
    assert not asked.credited("src", Witness("account", {("flag",): flag}, TODAY, given={("score",): 1}))
    assert not asked.credited("src", record(flag=flag, employees="many"))


def test_the_decisions_of_a_record_are_by_role() -> None:
    evaluator = judge(rules(KEEP), rules(OPEN)).evaluators[1]
    accounts = [{"id": "other", "owner": "ann"}, {"id": "case"}]
    found = decisions(evaluator, {"account": accounts, "rep": [{"id": "ann"}]}, "account", TODAY)
    assert found is not None and [(role, d.id, d.action) for role, d in found.items()] == [("ae", "case", "open")]
    found = decisions(evaluator, {"account": [accounts[0], {"id": "second"}], "rep": [{"id": "ann"}]}, "account", TODAY)
    assert found is not None and found["ae"].id == "other", "without a witness the first record"
    assert decisions(evaluator, {"account": accounts, "planet": []}, "account", TODAY) is None, "the policy knows no planets"
    assert decisions(evaluator, {"account": []}, "account", TODAY) is None
    assert decisions(evaluator, {"account": [*accounts, {"name": "without an id"}]}, "account", TODAY) is None
