"""A run in portions whatever its size, whose tasks get everything as bytes, as those on Spark do."""

from __future__ import annotations

from typing import ClassVar

from roe.columns.raw import Raw
from roe.evaluator.engine import Evaluator
from roe.ledger.remembered import Remembered
from roe.run.engine import Limit
from roe.run.engines import PortionEngine
from roe.run.files import Files, Watch
from roe.share.common import Sent
from roe.share.local import Local


class Sending(Local):
    """A carrier whose tasks have nothing but what is sent to them."""

    def common(self, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> Sent:  # type: ignore[override]
        return Sent.of(evaluator, as_of, tables, state)


class InTasks(PortionEngine):
    """`number` tasks; `together` says of the last run why one task decided all records."""

    number: ClassVar[int] = 3
    together: ClassVar[str] = ""

    def limits(self) -> list[Limit]:
        return []

    def fill(self, files: Files, watch: Watch) -> None:
        self.job.buckets = self.number
        self.decide_with(Sending(files.folder), files, files_of_turns=True)
        type(self).together = self.shared.together
