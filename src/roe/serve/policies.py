"""Policies of the service: ready to decide, with the digest that names them in every answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roe.diagnostics import errors
from roe.evaluator.engine import Evaluator
from roe.policy.model import Policy
from roe.run.inputs import digest_of, policy_files
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


def ready(policy: Policy) -> Ready:
    files = policy_files(policy)
    return Ready(Evaluator(policy), digest_of(files), files)


def load(root: Path) -> Ready:
    """The policy of a folder. Raises Refused with everything that is wrong with it."""
    from roe.cache import load_policy

    policy, found = load_policy(root)
    if policy is None:
        raise of_diagnostics(errors(found), 422, "R910", f"the policy in `{root}` has errors")
    return ready(policy)
