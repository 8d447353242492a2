"""Policies of the service: ready to decide, with the digest that names them in every answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roe.diagnostics import errors
from roe.evaluator.engine import Evaluator
from roe.policy.model import Policy
from roe.serve.problems import of_diagnostics


@dataclass(frozen=True, slots=True)
class Ready:
    """A policy that can decide, the digest of its files, and the files themselves, by name."""

    evaluator: Evaluator
    digest: str
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def name(self) -> str:
        return self.evaluator.policy.name


def digest_of(files: Mapping[str, bytes]) -> str:
    """What names a policy: the digest of its files' names and bytes."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def ready(policy: Policy) -> Ready:
    files = {name: (policy.root / name).read_bytes() for name in policy.files}
    return Ready(Evaluator(policy), digest_of(files), files)


def load(root: Path) -> Ready:
    """The policy of a folder. Raises Refused with everything that is wrong with it."""
    from roe.cache import load_policy

    policy, found = load_policy(root)
    if policy is None:
        raise of_diagnostics(errors(found), 422, "R910", f"the policy in `{root}` has errors")
    return ready(policy)
