"""What the service counts, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter as Tally
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from roe.serve.desk import Desk

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry for each server, so that several may run in one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Histogram(
            "roe_request_seconds", "Time to answer a request", ["route", "status"], buckets=BUCKETS, registry=registry
        )
        self.commit = Histogram("roe_commit_seconds", "Time to decide and commit a group of requests", buckets=BUCKETS, registry=registry)
        self.together = Histogram(
            "roe_group_requests", "Requests committed together", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256), registry=registry
        )
        self.queue = Gauge("roe_queue", "Requests that wait for the writer", registry=registry)
        self.ready = Gauge("roe_ready", "Whether the service can write", registry=registry)
        self.failed = Counter("roe_failed", "Requests that failed for a reason nobody foresaw", registry=registry)
        self.decisions = Counter("roe_decisions", "Decisions by action", ["entity", "role", "action"], registry=registry)
        self.timers = Counter("roe_timers", "Timers that fired", registry=registry)
        self.missed = Counter("roe_missed", "Records that were not worked in time", registry=registry)
        self.proofs = Counter("roe_late_proofs", "Missed records that had been worked in time, as was proved later", registry=registry)
        self.held = Gauge("roe_held", "Records that wait for somebody able", registry=registry)
        self.open_timers = Gauge("roe_open_timers", "Timers that are still to fire", registry=registry)
        self.unloaded = Gauge("roe_unloaded", "Decisions that the CRM does not show yet", registry=registry)
        self.unloaded_age = Gauge(
            "roe_unloaded_age_seconds", "Age of the oldest decision that the CRM does not show yet", registry=registry
        )
        self.sent = Counter("roe_webhooks_sent", "Webhooks sent, by result", ["receiver", "result"], registry=registry)
        self.shadow = Counter("roe_shadow", "Decisions made by the candidate policy too", ["result"], registry=registry)

    def group(self, requests: int, seconds: float, desk: Desk, fired: int) -> None:
        """A group was committed."""
        self.together.observe(requests)
        self.commit.observe(seconds)
        self.timers.inc(fired)
        self.held.set(len(desk.state.all("held")))
        self.open_timers.set(len(desk.state.all("timer")))
        alike = Tally((entity, role, action) for entity, _, role, action in desk.decided)
        for labels, decided in alike.items():
            self.decisions.labels(*labels).inc(decided)
        self.missed.inc(desk.missed)
        self.proofs.inc(desk.proofs)

    def text(self, desk: Desk | None) -> bytes:
        if desk is not None:
            waiting = [o["at"] for o in list(desk.state.all("owner").values()) if o["owner"] != o["base"]]
            self.unloaded.set(len(waiting))
            oldest = min(map(datetime.fromisoformat, waiting), default=None)
            self.unloaded_age.set((datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0)
        return generate_latest(self.registry)
