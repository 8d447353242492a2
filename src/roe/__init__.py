"""roe: sales rules of engagement as code.

    policy = roe.load("policies/examples/static")
    evaluator = roe.compile(policy)
    decision = evaluator.decide({"id": "1", "name": "Acme", "country": "US"}, as_of="2026-02-01")
    print(decision.owner, decision.trace.sentence)

`load` raises `PolicyError` with every diagnostic of a policy that has an error. Names are imported when first used, so
that `import roe` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roe.api import compile, evaluate, evaluate_table, load
    from roe.diagnostics import Diagnostic, PolicyError
    from roe.evaluator.bound import Bound
    from roe.evaluator.decision import Decision
    from roe.evaluator.engine import Evaluator, Run
    from roe.policy.model import Policy

__version__ = "0.1.0"
__all__ = ["Bound", "Decision", "Diagnostic", "Evaluator", "Policy", "PolicyError", "Run", "compile", "evaluate", "evaluate_table", "load"]

_HOMES = {
    "compile": "roe.api", "evaluate": "roe.api", "evaluate_table": "roe.api", "load": "roe.api",
    "Diagnostic": "roe.diagnostics", "PolicyError": "roe.diagnostics",
    "Bound": "roe.evaluator.bound", "Decision": "roe.evaluator.decision", "Evaluator": "roe.evaluator.engine",
    "Run": "roe.evaluator.engine", "Policy": "roe.policy.model",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'roe' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
