"""Policies that take over while the service runs, and candidates that decide beside it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ledgers import STORES, place
from roe.cli import main
from roe.diagnostics import PolicyError
from roe.ledger.store import open_store
from roe.serve.app import build_app
from roe.serve.policies import of_revision
from roe.serve.problems import Refused, busy
from roe.serve.server import Server
from roe.serve.settings import Settings
from roe.serve.times import SetTime
from services import MONDAY, POLICY, fill, policy, ready
from waiting import until

TO_BOSS = POLICY.replace("{name: rest, then: {route: inbound}}", "{name: rest, then: {assign: '\"boss\"'}}")


@pytest.fixture(params=STORES)
def state(request: Any, tmp_path: Path) -> str:
    return place(request.param, tmp_path)


@contextmanager
def running(state: str, root: Path, **more: Any) -> Iterator[tuple[TestClient, Server]]:
    server = Server(Settings(root, state, **more), SetTime(MONDAY))
    with TestClient(build_app(server), raise_server_exceptions=False) as client:
        ready(server)
        yield client, server


def route(c: Any, id: str) -> dict[str, Any]:
    found: dict[str, Any] = c.post("/v1/leads", json={"id": id, "email": f"a@{id.lower()}.com"}).json()
    return found


def test_scenario_17_a_policy_takes_over_under_load_and_a_bad_one_changes_nothing(state: str, tmp_path: Path) -> None:
    root = policy(tmp_path / "policy")
    with running(state, root) as (c, _), ThreadPoolExecutor(4) as pool:
        fill(c)
        old = c.get("/v1/policy").json()["digest"]
        leads = [pool.submit(route, c, f"L{n}") for n in range(40)]
        policy(root, TO_BOSS)
        taken = c.put("/v1/policy", json={})
        leads += [pool.submit(route, c, f"M{n}") for n in range(5)]
        answers = [lead.result() for lead in leads]
        assert taken.status_code == 200 and taken.json()["activated"] is True, taken.text
        new = taken.json()["policy"]
        for answer in answers:
            assert answer["policy"] in (old, new)
            assert (answer["owner"] == "boss") is (answer["policy"] == new), answer
            number = answer["decision"]
            assert c.get(f"/v1/decisions/{number}").json()["policy"] == answer["policy"]
        assert {a["policy"] for a in answers[40:]} == {new}
        for bad in (TO_BOSS.replace("assign:", "asign:"), TO_BOSS.replace("lead.form", "lead.frm")):
            policy(root, bad)
            refused = c.put("/v1/policy", json={})
            assert (refused.status_code, refused.json()["code"]) == (422, "R910") and refused.json()["errors"][0]["place"]
        assert c.get("/v1/policy").json()["digest"] == new and route(c, "N1")["policy"] == new
        kinds = c.get("/v1/changes", params={"kinds": "activated"}).json()["entries"]
        assert [e["digest"] for e in kinds] == [old, new]


def test_a_policy_whose_tests_fail_does_not_take_over(tmp_path: Path) -> None:
    root = policy(tmp_path / "policy")
    test = (
        "as_of: 2026-03-02T10:00\ntests:\n  - name: the rest\n    given: {leads: [{id: L1, email: a@x.com}], reps: [{id: boss, name: Boss}]}\n"
        "    expect: [{record: L1, entity: lead, role: sdr, owner: OWNER}]\n"
    )
    with running(str(tmp_path / "s"), root) as (c, _):
        fill(c)
        before = c.get("/v1/policy").json()
        policy(root, TO_BOSS)
        (root / "tests").mkdir()
        for text, said in ((test.replace("OWNER", "ann"), "1 of 1 tests of the policy fail"), ("tests: {}", "cannot be read")):
            (root / "tests" / "t.yaml").write_text(text)
            refused = c.put("/v1/policy", json={})
            assert (refused.status_code, refused.json()["code"]) == (422, "R910") and said in refused.json()["detail"], refused.text
            assert refused.json()["errors"][0]["message"] and refused.json()["errors"][0]["place"]
        assert c.get("/v1/policy").json() == before and route(c, "L1")["owner"] == "ann"
        (root / "tests" / "t.yaml").write_text(test.replace("OWNER", "boss"))
        assert c.put("/v1/policy", json={}).json()["activated"] is True and route(c, "L2")["owner"] == "boss"


def test_scenario_17_all_servers_decide_by_the_policy_in_force(state: str, tmp_path: Path) -> None:
    root, other = policy(tmp_path / "policy"), policy(tmp_path / "other")
    with running(state, root) as (one, _), running(state, other) as (two, _):
        fill(one)
        assert (route(one, "L1")["owner"], route(two, "L2")["owner"]) == ("ann", "ben")
        policy(root, TO_BOSS)
        new = one.put("/v1/policy", json={}).json()["policy"]
        answer = route(two, "L3")
        assert (answer["owner"], answer["policy"]) == ("boss", new)
    with running(state, other) as (three, _):  # a server that starts with another folder
        assert route(three, "L4")["policy"] == new
    with running(state, other, activate=True) as (four, _):
        assert route(four, "L5")["owner"] in ("ann", "ben", "cid")


def test_a_policy_of_a_git_revision_takes_over(tmp_path: Path) -> None:
    root = policy(tmp_path / "repository" / "rules", TO_BOSS)

    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *args], cwd=root, check=True, capture_output=True)

    git("init", "-q", "..")
    git("add", ".")
    git("commit", "-qm", "boss")
    policy(root)
    with running(str(tmp_path / "s"), root) as (c, _):
        fill(c)
        assert route(c, "L1")["owner"] == "ann"
        taken = c.put("/v1/policy", json={"revision": "HEAD"})
        assert taken.status_code == 200 and taken.json()["activated"] is True, taken.text
        assert route(c, "L2")["owner"] == "boss"
        for wrong in ("nowhere", "--output=x"):
            assert c.put("/v1/policy", json={"revision": wrong}).json()["code"] == "R910"


def test_a_watched_folder_takes_over_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.serve.swap.LOOK", 0.05)
    root = policy(tmp_path / "policy")
    with running(str(tmp_path / "s"), root, watch=True) as (c, server):
        fill(c)
        before = server.writer.policy.digest
        policy(root, TO_BOSS)
        until("a policy that has taken over", lambda: server.writer.policy.digest != before)
        assert route(c, "L1")["owner"] == "boss"


@pytest.mark.parametrize("why", [busy("another policy is about to take over", 2), PolicyError([]), OSError("the disk is full")])
def test_a_watched_folder_takes_over_later_where_it_could_not(why: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.serve.swap.LOOK", 0.01)
    root = policy(tmp_path / "policy")
    with running(str(tmp_path / "s"), root, watch=True) as (c, server):
        fill(c)
        before, activate, failures = server.writer.policy.digest, server.activate, [why, why]

        def failing(*args: Any) -> Any:
            if failures:
                raise failures.pop()
            return activate(*args)

        monkeypatch.setattr(server, "activate", failing)
        policy(root, TO_BOSS)
        until("a policy that has taken over", lambda: server.writer.policy.digest != before)
        assert not failures and route(c, "L1")["owner"] == "boss"


def test_a_candidate_decides_beside_the_policy_without_effect(state: str, tmp_path: Path) -> None:
    root, candidate = policy(tmp_path / "policy"), policy(tmp_path / "candidate", TO_BOSS)
    with running(state, root, shadow=candidate) as (c, _):
        fill(c)
        route(c, "L1")
        c.post("/v1/leads", json={"id": "L2", "email": "b@x.com", "form": "ask"})

        def decided() -> dict[str, Any] | None:
            found: dict[str, Any] = c.get("/v1/shadow").json()
            return found if found["same"] + found["different"] + found["failed"] == 2 else None

        found = until("a candidate that has decided both, which it does after they are answered", decided)
        assert found is not None
        assert (found["same"], found["different"], found["failed"]) == (1, 1, 0)
        assert found["differences"][0]["policy"]["owner"] == "ann" and found["differences"][0]["candidate"]["owner"] == "boss"
        assert found["differences"][0]["candidate"]["sentence"]
        assert c.get("/v1/leads/L1").json()["owner"] == "ann"
    with open_store(state) as store:
        assert {x.entry.rep for x in store.entries(kinds=("owned",))} == {"ann", None}  # type: ignore[attr-defined]


def test_a_server_that_has_not_heard_of_a_swap_yet_does_not_take_its_policy_for_the_one_in_force(state: str, tmp_path: Path) -> None:
    """One server has the new policy take over, and the other at once the old one again: that is a swap, not what it has anyway."""
    old, new = policy(tmp_path / "old"), policy(tmp_path / "new", TO_BOSS)
    with running(state, old) as (one, _):
        fill(one)
        with running(state, old) as (other, server):
            server.settings = replace(server.settings, policy=new)
            first, second = other.put("/v1/policy", json={}).json(), one.put("/v1/policy", json={}).json()
            assert (first["activated"], second["activated"]) == (True, True)
            assert other.get("/v1/policy").json()["digest"] == second["policy"]
            assert route(other, "L1")["owner"] == "ann"


# --- runs on the same ledger -------------------------------------------------------------------------------------------


def test_a_run_is_undone_over_http_and_the_service_knows_at_once(state: str, tmp_path: Path) -> None:
    """The run gives L1 to ann, who was nobody's. Its undo gives L1 back to nobody; a second undo, and one of no run, are refused."""
    root, data = policy(tmp_path / "policy"), tmp_path / "data"
    data.mkdir()
    (data / "reps.csv").write_text("id,name,role,active\nann,Ann,SDR,yes\nboss,Boss,head,yes\n")
    (data / "leads.csv").write_text("id,email\nL1,a@l1.com\n")
    args = ["run", str(root), "--data", str(data), "--as-of", "2026-03-02T08:00", "--state", state, "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, args, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with running(state, root) as (c, _):
        fill(c)
        c.put("/v1/leads/L1", json={"email": "a@l1.com"})
        assert c.get("/v1/leads/L1").json()["owner"] == "ann"
        run = next(x for x in c.get("/v1/runs").json()["runs"] if x["what"] == "run")
        assert run["undone"] is False
        address = f"/v1/runs/{run['run']}/undo"
        would = c.get(address).json()
        assert would["undo"] is None and [(x["id"], x["owner"], x["former"]) for x in would["given_back"]] == [("L1", None, "ann")]
        assert c.get("/v1/leads/L1").json()["owner"] == "ann"
        assert c.post(address, json={}).status_code == 422  # nobody says who
        undone = c.post(address, json={"by": "Ann Lee", "reason": "the wrong file"})
        assert undone.status_code == 200 and undone.json()["given_back"] == would["given_back"], undone.text
        assert c.get("/v1/leads/L1").json()["owner"] is None
        assert next(x for x in c.get("/v1/runs").json()["runs"] if x["run"] == run["run"])["undone"] is True
        again, unknown = c.post(address, json={"by": "Ann Lee"}), c.get("/v1/runs/nothing/undo")
        assert [again.status_code, unknown.status_code] == [422, 422] and "undone" in again.json()["detail"]
    with open_store(state) as store:
        assert [x.entry.accepted for x in store.entries(kinds=("run",)) if x.entry.what == "undo"] == ["Ann Lee: the wrong file"]  # type: ignore[attr-defined]
        assert store.rebuild()


def test_a_revision_has_all_its_files_and_follows_links(tmp_path: Path) -> None:
    """Files that git leaves out of archives are part of the policy, and a wrong revision is refused with a next step."""
    root = policy(tmp_path / "repository" / "rules")
    (root / ".gitattributes").write_text("policy.yaml export-ignore\n", "utf-8")

    def git(*args: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *args], cwd=root, check=True, capture_output=True)

    git("init", "-q", "..")
    with pytest.raises(Refused) as none:
        of_revision(root, "HEAD", tmp_path / "none")
    assert none.value.status == 422 and none.value.help
    git("add", ".")
    git("commit", "-qm", "first")
    assert (of_revision(root, "HEAD", tmp_path / "laid") / "policy.yaml").read_text("utf-8") == (root / "policy.yaml").read_text("utf-8")
    git("rm", "-rq", "--cached", ".")
    git("commit", "-qm", "nothing", "--allow-empty")
    with pytest.raises(Refused, match="there is no `rules`"):
        of_revision(root, "HEAD", tmp_path / "gone")
