"""What a comparison of two policies found, in words: the verdict, and its cases under headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roe.words import counted

if TYPE_CHECKING:
    from roe.analysis.diff import PolicyChange
    from roe.analysis.equivalence import Comparison, Difference


def said(compared: Comparison, changes: list[PolicyChange]) -> str:
    """The verdict in a sentence."""
    watched = f". These differ too, and decide no record: {', '.join(compared.beside)}" if compared.beside else ""
    return _verdict(compared, changes) + watched


def _verdict(compared: Comparison, changes: list[PolicyChange]) -> str:
    shown = {d.where for d in compared.differences}
    others = [name for name in compared.unproven if name not in shown]
    rest = f"; could not be compared: {', '.join(others)}" if others else ""
    if compared.verdict == "equivalent":
        how = "they say the same" if not changes else "they say it differently"
        return f"equivalent (proven): whatever a record is, both decide the same; {how}"
    if compared.verdict == "same outcome":
        return "same outcome (proven): every record gets the same owner, action and end; some sentences name another rule"
    if compared.verdict == "different":
        return f"different: {counted(len(compared.differences), 'case')} that they decide differently{rest}"
    return f"undecided: no record is known that they decide differently{rest}"


def sections(compared: Comparison) -> list[tuple[str, tuple[Difference, ...]]]:
    """Every kind of case that there is, under its heading."""
    all_of_them = (
        ("Cases that are decided differently", compared.differences),
        ("Cases that may be decided differently", compared.possible),
        ("Same outcome, decided by a rule of another name", compared.renamed),
        ("Same outcome, but a field on the way has another value", compared.fields),
    )
    return [(heading, cases) for heading, cases in all_of_them if cases]


def sides(d: Difference) -> tuple[tuple[str, str], tuple[str, str]]:
    """(the rule, what it gives) before and after; of a line of a file, which no rule has written, the line alone."""
    if d.where.endswith(".csv"):
        return (d.gives_before or "(no line)", ""), (d.gives_after or "(no line)", "")
    renamed = not d.gives_before and not d.gives_after
    gives = [x or ("" if renamed else "nothing") for x in (d.gives_before, d.gives_after)]
    return (d.before or "(no rule)", gives[0]), (d.after or "(no rule)", gives[1])
