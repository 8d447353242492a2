"""How long the pages take on the server: `python benchmarks/pages.py [ACCOUNTS] [ENTRIES] [--state FOLDER]`.

A policy of 1,000 rules decides the accounts in columns, beside a ledger of a year of nights. A real server answers a browser that asks for one
record after another, and searches as people type.
Each time is beside a bare handler of the same server in the same run, which answers with as many bytes. Processor time has the client in it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

import made
from roe.columns.raw import Raw
from roe.columns.world import ColumnWorld
from roe.evaluator.bound import Bound
from roe.evaluator.engine import Evaluator
from roe.ledger.entries import Loaded, Owned, RunEntry
from roe.ledger.entry import Entry
from roe.ledger.moment import At, ticks
from roe.ledger.store import exists, open_store
from roe.run.memory import read_memory
from roe.stages.build import build
from roe.web.app.history import History
from roe.web.app.kept import beside
from roe.web.app.laptop import snapshot_of
from roe.web.app.site import Options, Site

NIGHTS = 365
AS_OF = "2026-02-01"
START = datetime(2025, 2, 1, tzinfo=UTC)
ASKED = 200  # records and searches that are timed


def record(n: int) -> str:
    return f"A{n:09d}"


def night(rng: random.Random, n: int, entries: int, accounts: int) -> Iterator[Entry]:
    """What a night says: owners, and that the CRM has them."""
    at = At(ticks(START + timedelta(days=n)), True, "UTC")
    for i in range(entries):
        key, rep = record(rng.randrange(accounts)), f"rep{rng.randrange(200)}"
        if i % 2:
            yield Loaded(at=at, entity="account", record=key, role="ae", rep=rep)
        else:
            yield Owned(
                at=at,
                entity="account",
                record=key,
                role="ae",
                rep=rep,
                rule=f"r{rng.randrange(1000)}",
                action="assign",
                sentence=f"{rep} has it",
            )


def fill(folder: str, entries: int, accounts: int) -> None:
    rng = random.Random(1)
    with open_store(folder) as store:
        for n in range(NIGHTS):
            store.append(
                night(rng, n, max(1, entries // NIGHTS), accounts),
                RunEntry(at=At(ticks(START + timedelta(days=n)), True, "UTC"), id=f"night-{n}"),
            )


def site_of(root: Path, accounts: int, state: str) -> Site:
    made.whole_policy(root / "policy", made.rules(1000))
    policy, found = build(root / "policy")
    assert policy is not None, found
    evaluator = Evaluator(policy)
    reps = [{"id": f"rep{n}", "name": f"Rep {n}", "team": f"team {n % 12}"} for n in range(200)]
    world = ColumnWorld(
        evaluator.compiled, {"account": Raw.of_table(made.accounts(accounts)), "rep": Raw.of_rows(reps)}, evaluator.clock(AS_OF)
    )
    snapshot = snapshot_of(Bound(evaluator, world, read_memory(state)), "benchmark")
    _ = snapshot.index
    return Site(lambda: snapshot, Options(history=History(state), kept=beside(state)))


def serve(site: Site) -> str:
    app = site.app()

    async def bare(request: Request) -> HTMLResponse:
        return HTMLResponse("x" * int(request.query_params["bytes"]))

    app.router.routes.insert(0, Route("/bare", bare))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    threading.Thread(target=server.run, args=([listener],), daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def timed(client: httpx.Client, paths: list[str], **headers: str) -> tuple[float, float, float, int]:
    """(the median and the 95th percentile in milliseconds, the median of processor time, the median of bytes)."""
    times, worked, sizes = [], [], []
    for path in paths:
        start, cpu = time.perf_counter(), time.process_time()
        answer = client.get(path, headers=headers)
        times.append((time.perf_counter() - start) * 1000)
        worked.append((time.process_time() - cpu) * 1000)
        assert answer.status_code == 200, (path, answer.text[:300])
        sizes.append(len(answer.content))
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], statistics.median(worked), int(statistics.median(sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("accounts", type=int, nargs="?", default=100_000)
    parser.add_argument("entries", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--state", help="Keep the ledger in this folder, and use the one that is there: a million entries take minutes.")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="roe-pages-"))
    state = given.state or str(root / "state")
    try:
        start = time.perf_counter()
        if not exists(state):
            fill(state, given.entries, given.accounts)
            print(f"a ledger of {given.entries:,} entries, made in {time.perf_counter() - start:.0f} s", flush=True)
        start = time.perf_counter()
        address = serve(site_of(root, given.accounts, state))
        print(f"{given.accounts:,} accounts decided, and ready to be opened, in {time.perf_counter() - start:.0f} s", flush=True)
        rng = random.Random(3)
        keys = [record(rng.randrange(given.accounts)) for _ in range(ASKED)]
        script = {"hx-request": "true", "hx-target": "results"}
        typed = [f"company {rng.randrange(given.accounts)}"[: rng.randrange(3, 15)] for _ in range(ASKED)]
        asked: list[tuple[str, list[str], dict[str, str]]] = [
            ("a record", [f"/record/account/{key}" for key in keys], {}),
            ("its history", [f"/history/account/{key}" for key in keys], {"hx-request": "true"}),
            ("a search", [f"/?q={text.replace(' ', '+')}" for text in typed], script),
            ("a rep's day", [f"/rep/rep{n}" for n in range(0, 200, 10)], {}),
            ("changes, a page", [f"/changes?page={n}" for n in range(1, 41)], {}),
            ("what has moved", [f"/moves?since=2026-01-30&page={n}" for n in range(1, 21)], {}),
            ("the audit, a page", [f"/audit?before={given.entries - 100 * n}" for n in range(40)], {}),
            ("the audit of a record", [f"/audit?record={key}" for key in keys[:40]], {}),
            ("the audit of a rep", [f"/audit?rep=rep{n}" for n in range(40)], {}),
            ("the audit of a rare kind", [f"/audit?kind=reviewed&before={given.entries - n}" for n in range(20)], {}),
            ("the policy", ["/policy"] * 10, {}),
        ]
        with httpx.Client(base_url=address, timeout=300) as client:
            for what, paths, headers in asked:
                start = time.perf_counter()
                client.get(paths[0], headers=headers)
                first = (time.perf_counter() - start) * 1000
                median, late, cpu, size = timed(client, paths, **headers)
                plain, _, bare, _ = timed(client, [f"/bare?bytes={size}"] * len(paths))
                print(f"{what}: {median:.1f} ms, 95 of 100 within {late:.1f} ms, {median / plain:.1f} times a bare handler ({plain:.1f} ms); {cpu:.1f} ms of processor, {cpu / bare:.1f} times the bare one; the first {first:.0f} ms; {size:,} bytes")  # fmt: skip
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
