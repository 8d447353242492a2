"""`python benchmarks/serve.py`: how many leads a second the service routes, beside a handler that only commits one row.

Both are addresses of one server, with the same queue, the same writer and the same full synchronisation, and are asked in turn.
So the ratio says what routing costs, whatever the machine. Half of the leads have an account; the policy has 1,000 rules. It says how long the
server took to start, and asks for explanations. `--timers 10000` has so many service levels end at once; `--state postgresql://… --servers 2` compares two servers
on one database with one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "src")]
STATES = ("CA", "NY", "TX", "FL", "WA", "IL", "MA", "CO", "GA", "OH")
INDUSTRIES = ("software", "retail", "health", "banking", "energy")


def policy(folder: Path, rules: int) -> Path:
    """Pools, matching by domain and by name, and so many rules about state, industry and size."""
    pools = "".join(f'  p{n}:\n    members: rep.team = "t{n}"\n    caps: {{per_day: 100000}}\n' for n in range(20))
    lines = []
    for n in range(rules):
        state, industry, size = STATES[n % 10], INDUSTRIES[n // 10 % 5], 10 * (n // 50 + 1)
        condition = f'lead.state = "{state}" and lead.industry = "{industry}" and lead.employees < {size}'
        lines.append(f"      - {{name: r{n}, when: '{condition}', then: {{route: p{n % 20}}}}}\n")
    text = (
        "roe: 1\nname: bench\nroles: [ae, sdr]\nmatching: default\npools:\n" + pools + "engagement:\n  lead:\n    sdr:\n"
        "      - {name: customer, when: account.owner.ae != null, then: {assign: account.owner.ae}}\n"
        + "".join(lines) + "      - {name: rest, then: {route: p0}}\n"
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "policy.yaml").write_text(text)
    return folder


def fill(state: str, root: Path, accounts: int, leads: int) -> list[dict[str, Any]]:
    """Reps and accounts into the mirror; returns so many leads, of which every other has an account."""
    from made import company_names
    from roe.serve.local import Local
    from roe.serve.policies import load
    from roe.serve.sync import sync

    names = company_names(accounts * 2, 0)[0]
    rows = [
        {
            "id": f"A{i:07d}",
            "name": names[i],
            "domain": f"d{i}.com",
            "state": STATES[i % 10],
            "owner_ae": f"rep{i % 200:03d}" if i % 2 else "",
        }
        for i in range(accounts)
    ]
    reps = [{"id": f"rep{i:03d}", "name": f"Rep {i}", "team": f"t{i % 20}", "active": "yes"} for i in range(200)]
    with Local(state, load(root)) as local:
        sync(local, {"rep": reps, "account": rows})
    chance = random.Random(1)
    made = []
    for i in range(leads):
        n = chance.randrange(accounts) + (accounts if i % 2 else 0)
        domain = f"d{n}.com" if i % 4 == 0 else f"mail{i}.org"
        made.append(
            {
                "id": f"L{i}",
                "email": f"p{i}@{domain}",
                "company": names[n],
                "state": STATES[i % 10],
                "industry": INDUSTRIES[i % 5],
                "employees": i % 200,
            }
        )
    return made


async def load_with(port: int, path: str, bodies: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Send every body once from so many clients; (seconds in all, seconds of each)."""
    rest, took = iter(bodies), list[float]()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in rest:
            started, status = time.perf_counter(), "503"
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            while status == "503":  # another server had the lock for too long: the same again
                writer.write(head.encode() + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(answer.split("content-length: ")[1].split("\r\n")[0]))
                status = answer.split()[1]
            assert status in ("200", "201"), answer
            took.append(time.perf_counter() - started)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return time.perf_counter() - started, sorted(took)


def serve(root: str, state: str, port: int) -> None:
    """The server of the benchmark: the service, and beside it the bare handler."""
    import logging

    import uvicorn
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from roe.serve.app import build_app
    from roe.serve.desk import Desk
    from roe.serve.requests import fields_of
    from roe.serve.routes import written
    from roe.serve.server import Server
    from roe.serve.settings import Settings
    from roe.serve.tokens import ANYBODY
    from roe.serve.writer import Reply

    async def bare(request: Request) -> Response:
        value = await fields_of(request)

        def act(desk: Desk, at: Any) -> Reply:
            desk.writes.inbox.append(("bench", value["id"], ""))
            return 200, lambda: {"id": value["id"]}

        return await written(request, ANYBODY, value, act)

    async def spent(request: Request) -> Response:
        return JSONResponse(time.process_time())

    logging.getLogger("roe.serve.requests").setLevel("WARNING")
    app = build_app(Server(Settings(Path(root), state)), [])
    app.router.routes.insert(0, Route("/v1/bare", bare, methods=["POST"]))
    app.router.routes.insert(0, Route("/v1/processor", spent, methods=["GET"]))
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


@contextlib.contextmanager
def served(root: Path, state: str, servers: int = 1) -> Iterator[list[int]]:
    """The ports of so many servers on one ledger."""
    ports, processes = [], []
    for _ in range(servers):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        processes.append(subprocess.Popen([sys.executable, __file__, "--serve", str(root), state, str(ports[-1])]))
    try:
        for port, process in zip(ports, processes, strict=True):
            while not is_ready(port):
                assert process.poll() is None
                time.sleep(0.1)
        yield ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def is_ready(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
    except OSError:
        return False
    return True


def routed(port: int, bodies: Iterator[bytes], clients: int, number: int) -> dict[str, Any]:
    """Throughput and latency at a number of clients, of both handlers in turn; and the server's processor time for a request, which says
    the same where other work keeps the machine busy.
    """
    seconds: dict[str, float] = {"/v1/leads": 0.0, "/v1/bare": 0.0}
    processor = dict.fromkeys(seconds, 0.0)
    took: list[float] = []
    for _ in range(4):
        for path in seconds:
            before = spent(port)
            taken, each = asyncio.run(load_with(port, path, list(islice(bodies, number // 4)), clients))
            seconds[path] += taken
            processor[path] += spent(port) - before
            took += each if path == "/v1/leads" else []
    leads, bare = (number / seconds[path] for path in seconds)
    ms = {f"{path.rpartition('/')[2]} ms": round(x / number * 1000, 2) for path, x in processor.items()}
    ratios = {"ratio": round(leads / bare, 2), "of processor time": round(processor["/v1/bare"] / processor["/v1/leads"], 2)}
    return {"clients": clients, "leads/s": round(leads), "bare/s": round(bare), **ratios, **ms, **percentiles(took)}


def spent(port: int) -> float:
    """Seconds of processor time that the server has taken."""
    return float(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/processor", timeout=60).read())


def percentiles(seconds: list[float]) -> dict[str, float]:
    took = sorted(seconds)
    return {"p50 ms": round(took[len(took) // 2] * 1000, 1), "p99 ms": round(took[int(len(took) * 0.99)] * 1000, 1)}


def explained(port: int, number: int) -> dict[str, float]:
    """How long explanations of some of the first leads take, one after the other."""
    took = []
    for n in range(number):
        started = time.perf_counter()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/leads/L{n}/explain", timeout=60).read()
        took.append(time.perf_counter() - started)
    return percentiles(took)


def side_by_side(root: Path, state: str, bodies: Iterator[bytes], servers: int, number: int) -> None:
    """Leads a second of one server, and of several together that share the ledger's lock, in turn."""

    async def together(ports: list[int]) -> float:
        started = time.perf_counter()
        each = 8 // len(ports)
        await asyncio.gather(*(load_with(port, "/v1/leads", list(islice(bodies, number // 2 // len(ports))), each) for port in ports))
        return time.perf_counter() - started

    with served(root, state, servers) as ports:
        for port in ports:
            asyncio.run(load_with(port, "/v1/leads", list(islice(bodies, 50)), 4))
        alone = all_of_them = 0.0
        for _ in range(2):
            alone += asyncio.run(together(ports[:1]))
            all_of_them += asyncio.run(together(ports))
    print(
        f"servers 1: leads/s {number / alone:.0f}  servers {servers}: leads/s {number / all_of_them:.0f}  ratio {alone / all_of_them:.2f}  {exact(state)}"
    )


def exact(state: str) -> str:
    """Whether each pool's turns are numbered without a gap, and each record has one owner. Who stays with the company's rep uses no turn."""
    from roe.ledger.entries import FREE, Owned, Turn
    from roe.ledger.store import open_store

    turns: dict[str, list[int]] = {}
    owned = Counter[str]()
    with open_store(state) as store:
        for x in store.entries(kinds=("owned", "turn")):
            if isinstance(x.entry, Turn) and x.entry.credit != FREE:
                turns.setdefault(x.entry.pool, []).append(x.entry.number)
            elif isinstance(x.entry, Owned):
                owned[x.entry.record] += 1
    whole = all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in turns.values())
    return f"turns {sum(map(len, turns.values()))}, {'exact' if whole and max(owned.values()) == 1 else 'NOT EXACT'}"


def timers(folder: Path, number: int) -> None:
    """How long it takes until so many service levels that end at one moment were missed, and their leads given to others."""
    from roe.serve import intake
    from roe.serve.local import Local
    from roe.serve.policies import load
    from roe.serve.queue import COLLECTED
    from roe.serve.times import SetTime
    from roe.serve.writer import Job, Reply

    gc.set_threshold(*COLLECTED)  # as the service has it
    folder.mkdir()
    (folder / "policy.yaml").write_text(
        "roe: 1\nname: timers\nroles: [sdr]\npools:\n  desk: {members: rep.active, sla: {within: 1 hour, times: 1, escalate: boss}}\n"
        "engagement:\n  lead:\n    sdr:\n      - {name: all, then: {route: desk}}\n"
    )
    clock = SetTime(datetime(2026, 3, 2, 9, tzinfo=UTC))

    def routing(n: int) -> Job:
        def act(desk: Any, at: Any) -> Reply:
            desk.route("lead", {"id": f"L{n}", "email": f"a@d{n}.com"}, "", at)
            return 200, dict

        return Job(act)

    def reps(desk: Any, at: Any) -> Reply:
        for rep in ("boss", *(f"rep{n:03d}" for n in range(200))):
            intake.put(desk, "rep", {"id": rep, "name": rep, "active": "yes"}, "", at)
        return 200, dict

    with Local(folder.parent / "timers-state", load(folder), clock) as local:
        local.do(reps)
        for n in range(0, number, 200):
            local.writer.group([routing(i) for i in range(n, min(n + 200, number))])
        clock.at += timedelta(hours=1)
        fired, longest, started, processor = 0, 0.0, time.perf_counter(), time.process_time()
        while local.writer.is_due():
            before = time.perf_counter()
            local.writer.group([])
            longest = max(longest, time.perf_counter() - before)
            fired += 1
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    print(
        f"{number} timers due at once: {seconds:.1f} s ({processor:.1f} s of a processor) in {fired} groups, the longest {longest * 1000:.0f} ms"
    )


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=20_000)
    parser.add_argument("--rules", type=int, default=1_000)
    parser.add_argument("--clients", type=int, nargs="*", default=[8, 32])
    parser.add_argument("--leads", type=int, default=4_000, help="for each number of clients")
    parser.add_argument("--state", default="", help="a ledger to fill; a new folder without it")
    parser.add_argument("--servers", type=int, default=1, help="so many servers on one PostgreSQL, compared with one")
    parser.add_argument("--timers", type=int, default=0, help="so many service levels that end at once, and nothing else")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.timers:
            timers(Path(folder) / "timers", given.timers)
            return
        root, state = policy(Path(folder) / "policy", given.rules), given.state or str(Path(folder) / "state")
        started, processor = time.perf_counter(), time.process_time()
        leads = 2 * given.leads * len(given.clients) + 50 * given.servers
        bodies = iter([json.dumps(lead).encode() for lead in fill(state, root, given.accounts, leads)])
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
        print(f"{given.accounts} accounts into the mirror: {seconds:.1f} s ({processor:.1f} s of a processor)")
        if given.servers > 1:
            side_by_side(root, state, bodies, given.servers, given.leads)
            return
        with served(root, state) as (port,):
            print(f"a start that reads all of them: ready after {spent(port):.1f} s of a processor")
        with served(root, state) as (port,):
            print(f"the next start: ready after {spent(port):.1f} s")
            asyncio.run(load_with(port, "/v1/leads", list(islice(bodies, 50)), 4))  # the first leads make indexes
            rows = [routed(port, bodies, clients, given.leads) for clients in given.clients]
            for row in [*rows, {"explanations": 300, **explained(port, 300)}]:
                print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
