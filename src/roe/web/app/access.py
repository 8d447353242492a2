"""Who looks, and what of a record they may see.

Of any record everybody sees owner, role, end, the sentence and why not somebody else. Its values, activities, history and the full tree are
for its own team: the rep who owns it or owned it until now, those who share that rep's team, and their manager. RevOps and auditors see all.
A decision that rests on another team's record, as a lead's on its account, is shown without the values that it read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roe.diagnostics import suggest, user_error
from roe.dynamic import Saved
from roe.files import read_toml
from roe.web.app.kept import Kept, in_memory

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.web.app.oidc import Provider
    from roe.web.app.snapshot import Snapshot

ROLES = ("rep", "manager", "revops", "auditor")
SEES_ALL = ("revops", "auditor")
LONGEST = 10 * 3600.0  # seconds that a session lasts
IDLE = 2 * 3600.0  # seconds after which one that nobody uses ends
USED_AGAIN = 60.0  # seconds after which its use is noted again
MOST_SESSIONS = 20  # of one person at a time
# the pages that not everybody may open, with those who may
PAGES = {
    "changes": ("rep", "manager", "revops", "auditor"),
    "exceptions": ("manager", "revops", "auditor"),
    "review": ("revops", "auditor"),
    "books": ("manager", "revops", "auditor"),
    "data": ("revops", "auditor"),
    "audit": ("revops", "auditor"),
}
# what the pages and the API let people do, with the roles that may
ACTS = {
    "answer": ("rep", "manager", "revops"),  # a rep what is asked of them; a manager what is asked of their reps, too
    "leave": ("rep", "manager", "revops"),  # a rep their own; a manager that of their reps, too
    "ask": ("rep", "manager", "revops"),
    "grant": ("revops",),  # and decline, and end
    "undo": ("revops",),
    "review": ("revops",),
    "books": ("revops",),
    "keep": ("rep", "manager", "revops"),  # a link to a decision as it is now, of records whose values they may see
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a name, a role, and for reps and managers their id among the reps of the data."""

    name: str
    role: str
    rep: str | None = None

    def may_open(self, page: str) -> bool:
        return self.role in PAGES.get(page, ROLES)

    @property
    def sees_all(self) -> bool:
        return self.role in SEES_ALL

    def team(self, snapshot: Snapshot) -> frozenset[str]:
        """The ids of the reps of the viewer's own team."""
        return snapshot.team_of(self.rep) if self.rep is not None else frozenset()

    def may_see_values(self, snapshot: Snapshot, entity: str, record: str) -> bool:
        """Whether the record belongs to the viewer's team, in any role, now or until now."""
        if self.sees_all:
            return True
        return bool(snapshot.holders(entity, record) & self.team(snapshot))

    def may_see_whole(self, snapshot: Snapshot, row: Row) -> bool:
        """Whether that is so of the record and of every decided record that it refers to, whose values its rules may read."""
        if self.sees_all:
            return True
        fields = snapshot.policy.model.entities[row.entity].items()
        others = [row[name] for name, f in fields if f.type.name == "record" and f.type.entity in snapshot.entities]
        known = {(x.entity, str(x["id"])) for x in (row, *others) if x is not None and hasattr(x, "entity")}
        return all(self.may_see_values(snapshot, entity, record) for entity, record in known)

    def may(self, act: str) -> bool:
        """Whether the viewer's role may do something at all; of which records and reps, each act says itself."""
        return self.role in ACTS[act]

    def acts_for(self, snapshot: Snapshot) -> frozenset[str]:
        """The reps for whom a rep or a manager may act: themselves, and a manager for their reps. Neither peers nor those above."""
        if self.rep is None:
            return frozenset()
        return frozenset((self.rep,)) | (snapshot.managed_by(self.rep) if self.role == "manager" else frozenset())

    def may_see_rep(self, snapshot: Snapshot, rep: str) -> bool:
        """Whether the viewer may open the day of a rep: their own, and a manager those of the team."""
        return self.sees_all or rep == self.rep or (self.role == "manager" and rep in self.team(snapshot))


LOCAL = Viewer("you", "revops")  # whoever runs `roe ui` without a list of users has all the files anyway


@dataclass(frozen=True, slots=True)
class Session:
    viewer: Viewer
    csrf: str


class Sessions:
    """Who is signed in, by the digest of a cookie's secret. A session ends some hours after it began, or when nobody has used it for a while."""

    KIND = "session"

    def __init__(self, kept: Kept | None = None, clock: Callable[[], float] = time.time) -> None:
        self.kept = kept or in_memory(clock)

    def open(self, viewer: Viewer) -> tuple[str, Session]:
        """A new session, and the secret that stands for it. Of one person's sessions the oldest end once there are too many."""
        now, secret = self.kept.clock(), secrets.token_urlsafe(32)
        own = (
            [(key, x) for key, x in self.kept.all(self.KIND) if (x["name"], x["rep"]) == (viewer.name, viewer.rep)]
            if viewer != LOCAL
            else []
        )
        for key, _ in sorted(own, key=lambda x: x[1]["began"])[: max(0, len(own) + 1 - MOST_SESSIONS)]:
            self.kept.drop(self.KIND, key)
        csrf = secrets.token_urlsafe(32)
        value = {"name": viewer.name, "role": viewer.role, "rep": viewer.rep, "csrf": csrf, "began": now, "used": now}
        self.kept.put(self.KIND, digest(secret), value, IDLE)
        return secret, Session(viewer, csrf)

    def get(self, secret: str | None) -> Session | None:
        if not secret:
            return None
        key, now = digest(secret), self.kept.clock()
        x = self.kept.get(self.KIND, key)
        if x is None or now - x["began"] > LONGEST:
            return None
        if now - x["used"] > USED_AGAIN:
            self.kept.put(self.KIND, key, {**x, "used": now}, min(IDLE, LONGEST - (now - x["began"])))
        return Session(Viewer(x["name"], x["role"], x["rep"]), x["csrf"])

    def close(self, secret: str | None) -> None:
        if secret:
            self.kept.drop(self.KIND, digest(secret))


class Users:
    """Who may sign in: viewers by the SHA-256 of their token, and by the name that a trusted proxy gives."""

    def __init__(self, by_digest: Mapping[str, Viewer], by_login: Mapping[str, Viewer] | None = None) -> None:
        self._by_digest, self._by_login = dict(by_digest), dict(by_login or {})
        self.provider: Provider | None = None  # of OpenID Connect, where people sign in by one

    def with_token(self, token: str) -> Viewer | None:
        given = digest(token)
        user = None
        for known, viewer in self._by_digest.items():  # all are compared, so that the time says nothing
            if hmac.compare_digest(known, given):
                user = viewer
        return user

    def named(self, login: str) -> Viewer | None:
        return self._by_login.get(login.strip().lower())

    def has(self, viewer: Viewer) -> bool:
        """Whether somebody who is signed in may still be: the list may have changed since."""
        return viewer in self._by_digest.values() or viewer in self._by_login.values()

    def __bool__(self) -> bool:
        return bool(self._by_digest or self._by_login)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_users(path: Path) -> Users:
    """Users from a TOML file. Raises PolicyError for one that cannot be read.

    `[oidc]` names an OpenID Connect provider (see `roe.web.app.oidc`). Each `[[user]]` has `name`, `role`, for reps and managers `rep` (an id), and `token_sha256`, `login` (what the proxy or the provider calls them) or both.
    """
    try:
        raw = read_toml(path)
        users = users_of(raw.get("user", ()))
        if "oidc" in raw:
            from roe.web.app.oidc import provider_of

            users.provider = provider_of(raw["oidc"])
        return users
    except (OSError, ValueError, TypeError) as e:
        help = 'write [[user]], name = "Ana", role = "rep", rep = "ana", token_sha256 = "…"'
        raise user_error("R804", f"the file with users cannot be read: {e}", path, help) from e


def users_of(rows: Iterable[Saved]) -> Users:
    """Users from their rows. Raises ValueError for a row that names nobody."""
    by_digest: dict[str, Viewer] = {}
    by_login: dict[str, Viewer] = {}
    for row in rows:
        name, role, rep = row.get("name"), row.get("role"), row.get("rep")
        token, login = row.get("token_sha256"), row.get("login")
        if not isinstance(name, str) or not name:
            raise ValueError("a user has no name")
        if role not in ROLES:
            raise ValueError(f"the role of `{name}` is not one of {', '.join(ROLES)}: {suggest(str(role), ROLES, 'correct it')}")
        if role in ("rep", "manager") and not isinstance(rep, str):
            raise ValueError(f"`{name}` is a {role} and needs `rep`, an id of the data")
        if token is None and login is None:
            raise ValueError(f"`{name}` has neither `token_sha256` nor `login`")
        viewer = Viewer(name, role, rep)
        if token is not None:
            if not isinstance(token, str) or len(token) != 64:
                raise ValueError(f"`token_sha256` of `{name}` is not a SHA-256 in hex")
            by_digest[token.lower()] = viewer
        if login is not None:
            by_login[str(login).strip().lower()] = viewer
    return Users(by_digest, by_login)
