"""Policies of the service: ready to decide, with the digest that names them in every answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator
from roe.policy.model import Policy
from roe.revisions import GitFailed, NotThere, at_revision, normal, top_of
from roe.run.inputs import digest_of, policy_files
from roe.serve.problems import Refused, of_diagnostics


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
    """The policy of a folder. Raises PolicyError with everything that is wrong with it."""
    from roe.cache import load_policy

    policy, problems = load_policy(root)
    if policy is None:
        raise PolicyError(errors(problems))
    return ready(policy)


# --- taking over ------------------------------------------------------------------------------------------------------


def checked(root: Path) -> Ready:
    """The policy of a folder, if it has no errors and passes its tests. Raises Refused with everything that is wrong."""
    from roe.testing.cases import load_cases
    from roe.testing.runner import run_case

    try:
        ready = load(root)
    except PolicyError as e:
        raise of_diagnostics(e.diagnostics, 422, "R910", f"the policy in `{root}` has errors") from None
    cases, problems = load_cases(ready.evaluator.policy)
    if errors(problems):
        raise of_diagnostics(errors(problems), 422, "R910", f"the tests of the policy in `{root}` cannot be read")
    failed = [result for result in (run_case(ready.evaluator, case) for case in cases) if not result.passed]
    if failed:
        said = [
            {"code": "R910", "message": f"{r.case.name}: {f.what}: expected {f.wanted}, got {f.got}", "place": f.place}
            for r in failed
            for f in r.failures
        ]
        raise Refused(422, "R910", f"{len(failed)} of {len(cases)} tests of the policy fail", "see `roe test`", errors=said)
    return ready


def from_files(files: Mapping[str, bytes], scratch: Path) -> Ready:
    """The policy that a ledger keeps, laid out in a scratch folder."""
    for name, content in files.items():
        path = scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return load(scratch)


def of_revision(root: Path, revision: str, scratch: Path) -> Path:
    """The folder of a policy as it was at a git revision, laid out in a scratch folder. Raises Refused if git has none such."""
    if revision.startswith("-") or not revision:
        raise Refused(422, "R910", f"`{revision}` is not a revision", "name a branch, a tag or a commit")
    here, top = root.resolve(), top_of(root)
    try:
        if not here.is_relative_to(top):
            raise GitFailed("the policy is not in a repository")
        return at_revision(revision, normal(here.relative_to(top).as_posix()), top, scratch)
    except OSError as e:
        raise Refused(422, "R910", f"git cannot be run: {e}", "reload the policy from its folder") from None
    except (GitFailed, NotThere) as e:
        raise Refused(422, "R910", f"git cannot find the policy: {e}", "fetch the revision first, or name another") from None


def marks(root: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file of a folder does: names, sizes and times."""
    marks = []
    for path in sorted(p for p in root.rglob("*") if p.is_file() and not any(part.startswith(".") for part in p.relative_to(root).parts)):
        with suppress(FileNotFoundError):  # somebody is still writing
            stat = path.stat()
            marks.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(marks)
