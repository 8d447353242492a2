"""What of the records a person's token shows: the same as the pages show that person.

The token of a user (docs/ui.md) is a token of the API, too. Of any record a rep gets owner, role, until and the sentence; values, rules and history only
of the own team's. Tokens of programs (docs/serve.md) show everything that their scopes allow.
"""

from __future__ import annotations

from collections.abc import Mapping

from roe.dynamic import Json, Saved
from roe.serve.desk import Desk
from roe.serve.problems import Refused
from roe.serve.tokens import SCOPES, Token
from roe.web.app.access import Users, Viewer

OPEN = (
    "entity",
    "id",
    "role",
    "decision",
    "number",
    "kind",
    "at",
    "owner",
    "owner_name",
    "rep",
    "until",
    "sentence",
    "held",
    "known",
    "stale",
)
OF_ROLE: Mapping[str, tuple[str, ...]] = {"revops": tuple(SCOPES), "auditor": ("read",), "manager": ("read",), "rep": ("read",)}


def token_of(users: Users, text: str) -> Token | None:
    """The token of a user, with the scopes of the user's role."""
    viewer = users.with_token(text) if text else None
    return None if viewer is None else Token(viewer.name, frozenset(OF_ROLE[viewer.role]), viewer)


def sees_all(token: Token) -> bool:
    return token.viewer is None or token.viewer.sees_all


def everything(token: Token) -> None:
    """Refuse what is about all records to whoever may not see all of them."""
    if not sees_all(token):
        raise _not_yours("this is open to RevOps and auditors")


def sees_record(token: Token, desk: Desk, entity: str, id: str) -> bool:
    """Whether the record belongs to the person's team, now or until now, in any role."""
    viewer = token.viewer
    if viewer is None or viewer.sees_all:
        return True
    owners = (desk.state.owner(key) for key in desk.owner_keys(entity, id))
    return bool({rep for owner in owners for rep in (owner["owner"], owner["former"]) if rep is not None} & _team(viewer, desk))


def sees_whole(token: Token, desk: Desk, entity: str, id: str) -> bool:
    """Whether that is so of every decided record that this one refers to, too, whose values its rules may read."""
    if sees_all(token):
        return True
    row = desk.records.row(entity, id)
    if row is None or not sees_record(token, desk, entity, id):
        return False
    fields = desk.policy.evaluator.policy.model.entities[entity].items()
    others = [row[name] for name, f in fields if f.type.name == "record" and desk.roles(f.type.entity)]
    return all(sees_record(token, desk, x.entity, str(x["id"])) for x in others if x is not None)


def shown(token: Token, desk: Desk, entity: str, id: str, answer: Json) -> Json:
    """An answer about a record, with only what everybody may know of it unless it is the team's."""
    return answer if sees_record(token, desk, entity, id) else open_part(answer)


def open_part(answer: Saved) -> Json:
    """What everybody may know: of the record, and of each of its roles."""
    known = {name: answer[name] for name in OPEN if name in answer}
    return known | ({"roles": {role: open_part(x) for role, x in answer["roles"].items()}} if "roles" in answer else {})


def only_team(token: Token, desk: Desk, entity: str, id: str) -> None:
    if not sees_record(token, desk, entity, id):
        raise _not_yours(f"the {entity} `{id}` belongs to another team")


def only_rep(token: Token, desk: Desk, rep: str) -> None:
    """Refuse the day of a rep to anybody but the rep, the manager, RevOps and auditors."""
    viewer = token.viewer
    if viewer is None or viewer.sees_all or rep == viewer.rep or (viewer.role == "manager" and rep in _team(viewer, desk)):
        return
    raise _not_yours(f"the day of `{rep}` is open to the rep, their manager and RevOps")


def _team(viewer: Viewer, desk: Desk) -> frozenset[str]:
    if viewer.rep is None:
        return frozenset()
    from roe.web.app.snapshot import teams_of

    return teams_of(desk.records.live.world.all("rep")).get(viewer.rep, frozenset((viewer.rep,)))


def _not_yours(detail: str) -> Refused:
    return Refused(403, "R902", detail, "ask your RevOps team if you need it")
