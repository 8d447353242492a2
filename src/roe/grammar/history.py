"""Fields that every role has of its own, written with the role behind a dot: `account.owner_since.ae`.

`owner_since` is the day on which today's owner began, null where nobody knows; `owner_from` is the same day, else the first on which
anybody saw that owner. `former_owner` had the record before, `owner_by` says what gave it to today's owner (rule, pool, claim, hand,
system, import …), `returned_on` when it was last given back, and `referred_on` since
when a person is asked to decide. Without a role `owner_since` and `former_owner` are the first role's.
"""

from __future__ import annotations

from collections.abc import Collection

from roe.grammar import syntax as s

PER_ROLE = {
    "owner_since": "date",
    "owner_from": "date",
    "former_owner": "rep",
    "owner_by": "string",
    "returned_on": "date",
    "referred_on": "date",
}


def by_role(tree: s.Node, roles: Collection[str]) -> s.Node:
    """The tree with each `record.owner_since.ROLE` as one field of the record."""

    def change(node: s.Node) -> s.Node:
        node = s.mapped(node, change)
        if isinstance(node, s.Path) and node.field in roles and isinstance(node.base, s.Path) and node.base.field in PER_ROLE:
            return s.Path(node.base.base, f"{node.base.field}.{node.field}", node.at)
        return node

    return change(tree)
