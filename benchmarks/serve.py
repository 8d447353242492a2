"""`python benchmarks/serve.py`: how many leads a second the service routes, beside a handler that only commits one row.

Both are addresses of one server, with the same queue, the same writer and the same full synchronisation, and are asked in turn.
So the ratio says what routing costs, whatever the machine. Half of the leads have an account; the policy has 1,000 rules.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
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


def fill(state: str, root: Path, accounts: int) -> list[dict[str, Any]]:
    """Reps and accounts into the mirror; returns leads, of which every other has an account."""
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
    for i in range(200_000):
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
    rest, took = iter(bodies), []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in rest:
            started = time.perf_counter()
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.split("content-length: ")[1].split("\r\n")[0]))
            assert answer.split()[1] in ("200", "201"), answer
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
    from starlette.responses import Response
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

    logging.getLogger("roe.serve.requests").setLevel("WARNING")
    app = build_app(Server(Settings(Path(root), state)), [])
    app.router.routes.insert(0, Route("/v1/bare", bare, methods=["POST"]))
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def measured(root: Path, state: str, leads: list[dict[str, Any]], clients: list[int], number: int) -> list[dict[str, Any]]:
    """Throughput and latency at each number of clients, of both handlers in turn."""
    import urllib.request

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(root), state, str(port)])
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        bodies = [json.dumps(lead).encode() for lead in leads]
        asyncio.run(load_with(port, "/v1/leads", bodies[:50], 4))  # the first leads make indexes
        at, found = 50, []
        for n in clients:
            seconds: dict[str, float] = {"/v1/leads": 0.0, "/v1/bare": 0.0}
            took: list[float] = []
            for _ in range(4):
                for path in seconds:
                    some = bodies[at : at + number // 4]
                    at += len(some)
                    spent, each = asyncio.run(load_with(port, path, some, n))
                    seconds[path] += spent
                    took += each if path == "/v1/leads" else []
            took.sort()
            routed, bare = (number / seconds[path] for path in seconds)
            found.append({"clients": n, "leads/s": round(routed), "bare/s": round(bare), "ratio": round(routed / bare, 2),
                          "p50 ms": round(took[len(took) // 2] * 1000, 1), "p99 ms": round(took[int(len(took) * 0.99)] * 1000, 1)})  # fmt: skip
        return found
    finally:
        process.terminate()
        process.wait()


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
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, state = policy(Path(folder) / "policy", given.rules), given.state or str(Path(folder) / "state")
        started = time.perf_counter()
        leads = fill(state, root, given.accounts)
        print(f"{given.accounts} accounts into the mirror: {time.perf_counter() - started:.1f} s")
        for row in measured(root, state, leads, given.clients, given.leads):
            print("  ".join(f"{name} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
