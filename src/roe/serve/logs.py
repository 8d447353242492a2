"""Structured logs: one JSON object a line, with the decision's number and without what persons have typed."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from roe.dynamic import Json

access = logging.getLogger("roe.serve.requests")

FIELDS = ("decision", "record", "token")


class Lines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: Json = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        line |= getattr(record, "values", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def set_up(level: str = "INFO") -> None:
    """Send all of the service's logs to standard error as lines of JSON, and what libraries warn of as well."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name, least in (("", "WARNING"), ("roe", level), ("uvicorn", level), ("uvicorn.error", level)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)


def request_line(scope: Any, status: int, seconds: float) -> None:
    """A line about a request: never its body or its query, which hold names and addresses of persons."""
    if not access.isEnabledFor(logging.INFO):
        return
    noted = scope.get("state", {}).get("noted", {})
    values = {"method": scope["method"], "path": noted.get("path") or scope["path"], "status": status, "ms": round(seconds * 1000, 2)}
    access.info(
        "%s %s %s", scope["method"], values["path"], status, extra={"values": {**values, **{k: noted[k] for k in FIELDS if k in noted}}}
    )
