"""Random worlds whose leads are matched to accounts that are decided before them: by keys, by names, or by both."""

from __future__ import annotations

import random
from typing import Any

from made_policies import LEAD, _rules
from made_worlds import World

METHODS: list[dict[str, Any]] = [
    {"name": "mail", "match": "domain(lead.email) = account.domain", "unless": "is_freemail(lead.email)"},
    {"name": "site", "match": "company_domain(lead.email) = company_domain(account.domain)"},
    {"name": "others", "match": 'domain(lead.email) in split(account.other_domains, "; *")'},
    {"name": "size", "match": "lead.employees = account.employees and lead.country = account.country"},
    {"name": "parents", "match": "domain(lead.email) = account.parent.domain"},
    {"name": "day", "match": "date(lead.created) = account.created"},
    {"name": "alike", "match": "similarity(lead.company, account.name) >= 0.7", "unless": "contradicts(lead.country, account.country)"},
    {"name": "name", "similar": ["lead.company", "account.name"], "unless": "contradicts(lead.country, account.country)"},
    {"name": "guess", "similar": ["lead.company", "account.name"], "at_least": 0.01, "match": "lead.country = account.country"},
    {"name": "group", "similar": ["lead.company", "account.name"], "at_least": 0.1, "group": True},
    {"name": "shown", "similar": ["upper_case(lead.company)", "account.label"], "at_least": 0.2},
]
TIES: list[dict[str, str]] = [
    {"most": "count(account.activities)"}, {"least": "account.employees"}, {"most": "if account.owner.ae = null then 0 else 1"},
    {"most": "if account.parent = null then 1 else 0"}, {"most": "count(account.open_opportunities)"}, {"least": "account.parent.employees"},
]  # fmt: skip
ASKED = [
    "account.employees > {n}", "account.owner_since.ae = today", "account.parent.owner.ae != null", 'lead.matched_account.country = "US"',
    "count(account.activities) > 1", "lead.matched_account.id < \"A4\"",
]  # fmt: skip
BASES = [
    "Wexmark Bearings",
    "Kyriakos Shipping",
    "Memel Chemie",
    "Norbeck Seguros",
    "Zollinger Bank",
    "Gas Oil",
    "Ostrava Steel Works",
    "Wexmark",
]
FORMS = ["", " GmbH", " AG", " Ltd", " Chile", " Leasing", " Fund III", " Fund IV", " Group", " in Liquidation"]


def name(rng: random.Random) -> str | None:
    """A company's name, in one of the ways in which people write it."""
    text = rng.choice(BASES) + rng.choice(FORMS)
    at = rng.randrange(len(text))
    misspelt = text[:at] + rng.choice("aeknx") + text[at + 1 :]
    return rng.choice([text, text, text, text.upper(), text.replace("k", "c"), misspelt, None])


class MatchedLeads(World):
    """A random world whose accounts are decided first, and then leads, most of which are only matched to them."""

    def _of_kind(self, policy: dict[str, Any]) -> None:
        super()._of_kind(policy)
        rng = self.rng
        rules = _rules(rng, [*LEAD, *ASKED, *ASKED], "lead")
        rules.insert(rng.randrange(3), {"name": "account's", "when": "account.owner.ae != null and lead.employees > 50", "then": {"assign": "account.owner.ae"}})  # fmt: skip
        if rng.random() < 0.4:  # without turns
            rules = [rule for rule in rules if "route" not in rule["then"] and "route" not in rule.get("else", "")]
        policy["engagement"]["lead"] = {"sdr": rules}
        policy["define"]["account.label"] = "upper_case(account.name)"
        policy["fields"].setdefault("account", {})["other_domains"] = {"type": "string"}
        policy["matching"] = rng.choice(["default", "group"]) if rng.random() < 0.2 else self._methods()
        policy["pools"] = {
            "desk": {"members": 'rep.team = "SMB" or rep.team = "Mid"', "caps": {"per_day": rng.choice([1, 3, 50])}, "fallback": "late"},
            "late": {"members": ["eve", "stranger"]},
            "weighted": {"members": "rep.active != false", "strategy": "weighted", "weight": "rep.ramp", "caps": {"open_leads": rng.choice([4, 40])}},
            "best": {"members": "rep.active != false", "strategy": "top_score", "score": "rep.capacity", "together": rng.choice(["lead.company", "lead.account.country"]), "debt": 1},
            "level": {"members": 'rep.role = "SDR"', "strategy": "least_loaded", "together": "never"},
            "own": {"members": "rep.team = account.segment", "caps": {"per_day": 4}, "fallback": "boss"},
        }  # fmt: skip
        for account in self.tables["account"]:
            account |= {
                "name": name(rng),
                "phone": rng.choice(["+1 415 555 0100", "030 1234567", None]),
                "city": rng.choice(["Bonn", "Lima", None]),
            }
            account["other_domains"] = rng.choice(["acme.com; acme.de", "shop.co.uk", None, None])
        for lead in self.tables["lead"]:
            lead |= {
                "company": name(rng),
                "phone": rng.choice(["4155550100", "+49 30 1234567", None, None]),
                "city": rng.choice(["Bonn", "Lima", None]),
            }

    def _add_features(self, seed: int, leave_out: str) -> set[str]:
        names = super()._add_features(seed, leave_out)
        policy = self.draft.policy
        for section in ("credits", "claims", "holdovers"):  # which keep leads and accounts together
            policy.pop(section, None)
        for roles in policy["engagement"].values():
            for role, some in roles.items():
                roles[role] = [rule for rule in some if "claim" not in str(rule)] or [{"name": "all", "then": "keep"}]
        return names

    def _methods(self) -> dict[str, Any]:
        rng = self.rng
        return {"methods": rng.sample(METHODS, rng.choice([1, 2, 3, 4])), "tie_break": rng.sample(TIES, rng.randrange(3))}
