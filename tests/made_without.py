"""What random worlds have from `made_policies` and from their pools, each as the world without it: what to change, and the file in which it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from made_features import Draft, Policy
from made_policies import REPS


def _pools(change: Callable[[Policy], None]) -> Callable[[Draft], None]:
    def without(w: Draft) -> None:
        for pool in w.policy.get("pools", {}).values():
            change(pool)

    return without


def _unless(key: str) -> Callable[[Draft], None]:
    return _pools(lambda pool: pool.pop(key, None))


def _equal(strategy: str) -> Callable[[Draft], None]:
    def change(pool: Policy) -> None:
        if pool["strategy"] == strategy if "strategy" in pool else False:
            pool["strategy"] = "round_robin"
            pool.pop("weight", None)
            pool.pop("score", None)

    return _pools(change)


def _caps(*names: str) -> Callable[[Draft], None]:
    def change(pool: Policy) -> None:
        left = {cap: n for cap, n in pool.get("caps", {}).items() if cap not in names}
        pool.update(caps=left) if left else pool.pop("caps", None)

    return _pools(change)


def _fixed_members(pool: Policy) -> None:
    if isinstance(pool["members"], str) and any(f"{e}." in pool["members"] for e in ("account", "lead")):
        pool["members"] = list(REPS)


def _no_leave(w: Draft) -> None:
    w.tables["leave"] = []


def _no_hands(w: Draft) -> None:
    w.hands = False


def _no_aliases(w: Draft) -> None:
    w.policy["fields"]["account"]["segment"].pop("aliases", None)


def _no_methods(w: Draft) -> None:
    if isinstance(w.policy.get("matching"), dict):
        for method in w.policy["matching"]["methods"]:
            method["match"] = "false"


def _no_holdovers(w: Draft) -> None:
    w.policy.pop("holdovers", None)


def _no_windows(w: Draft) -> None:
    w.policy["windows"]["protect"] |= {"lasts": "1 day", "renewed_by": "false"}


def _no_holds(w: Draft) -> None:
    for roles in w.policy["engagement"].values():
        for rules in roles.values():
            for rule in rules:
                if rule["then"] == "hold":
                    rule["then"] = "open"


WITHOUT: Mapping[str, tuple[Callable[[Draft], None], str]] = {
    "least loaded": (_equal("least_loaded"), "allocations"), "top score": (_equal("top_score"), "allocations"), "weights": (_equal("weighted"), "allocations"),
    "sticky": (_unless("sticky"), "allocations"), "fallback": (_unless("fallback"), "allocations"), "debt": (_unless("debt"), "allocations"),
    "hours": (_unless("hours"), "allocations"), "sla": (_unless("sla"), "allocations"), "credit back": (_unless("credit_back"), "allocations"),
    "together": (_unless("together"), "allocations"), "classes": (_pools(_fixed_members), "allocations"),
    "caps of days": (_caps("per_day", "per_week"), "allocations"), "caps of open records": (_caps("open_leads", "open_accounts"), "allocations"),
    "leave": (_no_leave, "allocations"), "moves by hand": (_no_hands, "ledger"), "aliases": (_no_aliases, "rejects"), "matching": (_no_methods, "allocations"),
    "holdovers": (_no_holdovers, "credits"), "windows": (_no_windows, "allocations"), "hold": (_no_holds, "allocations"),
}  # fmt: skip
