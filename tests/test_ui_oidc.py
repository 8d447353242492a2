"""Sign-in by OpenID Connect, with a real provider in a process of its own that tells the truth, or one lie at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("starlette")
pytest.importorskip("authlib")

import httpx

import oidc_provider
from browsing import Browser, example_snapshot
from roe.diagnostics import PolicyError
from roe.web.app.access import read_users
from roe.web.app.kept import in_memory
from roe.web.app.site import Options


class Provider:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        command = [sys.executable, oidc_provider.__file__]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment)
        assert self.process.stdout is not None
        self.issuer = self.process.stdout.readline().strip()
        assert self.issuer

    def lies(self, what: str) -> None:
        (self.folder / "lie").write_text(what, "utf-8")

    def users(self, monkeypatch: pytest.MonkeyPatch, **changes: str) -> Path:
        monkeypatch.setenv("ROE_OIDC_SECRET", oidc_provider.SECRET)
        settings = {
            "issuer": self.issuer, "client_id": oidc_provider.CLIENT, "client_secret": "env:ROE_OIDC_SECRET", "address": "http://localhost",
        } | changes  # fmt: skip
        lines = ["[oidc]", *(f'{name} = "{value}"' for name, value in settings.items() if value)]
        lines += ["[[user]]", 'name = "Ann"', 'role = "rep"', 'rep = "ann"', 'login = "Ann@Acme.test"']
        path = self.folder / "users.toml"
        path.write_text("\n".join(lines), "utf-8")
        return path


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    made = Provider(tmp_path_factory.mktemp("provider"))
    yield made
    made.process.kill()
    made.process.wait()


def browser_of(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(example_snapshot("static"), Options(users=read_users(provider.users(monkeypatch))))


def come_back(browser: Browser, wanted: str = "/teams") -> httpx.Response:
    """Go to the provider and come back, as a browser does."""
    out = browser.get(f"/sign-in/with-provider?next={wanted}")
    if out.status_code != 303:
        return out
    answer = httpx.get(out.headers["location"])
    return browser.get(answer.headers["location"].removeprefix("http://localhost"))


def test_a_user_signs_in_with_the_provider(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.lies("")
    browser = browser_of(provider, monkeypatch)
    assert "Sign in with your company account" in browser.get("/sign-in?next=/teams").text
    found = come_back(browser)
    assert (found.status_code, found.headers["location"]) == (303, "/teams")
    assert "rep Ann" in browser.text("/")
    query = parse_qs(urlsplit(browser.get("/sign-in/with-provider").headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"] and query["redirect_uri"] == ["http://localhost/sign-in/back"]


def test_a_provider_may_end_its_own_name_with_a_slash(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.lies("slash")
    assert come_back(browser_of(provider, monkeypatch)).headers["location"] == "/teams"


def test_behind_a_proxy_that_ends_https_the_cookies_are_secure(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.lies("")
    users = read_users(provider.users(monkeypatch, address="https://localhost"))
    cookie = Browser(example_snapshot("static"), Options(users=users)).get("/sign-in/with-provider").headers["set-cookie"]
    assert "secure" in cookie.lower() and "httponly" in cookie.lower()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nonce", "could not be verified"),
        ("no nonce", "could not be verified"),
        ("audience", "could not be verified"),
        ("several audiences", "could not be verified"),  # which of them it is for is not said
        ("issuer", "could not be verified"),
        ("expired", "could not be verified"),
        ("future", "could not be verified"),
        ("key", "could not be verified"),
        ("none", "could not be verified"),
        ("shared secret", "could not be verified"),
        ("denied", "did not sign you in"),
        ("no mail", "says nothing of your email"),
        ("not verified", "has not verified your e-mail address"),
        ("not verified, as a text", "has not verified your e-mail address"),
        ("stranger", "eve@evil.test is not among the users"),
        ("name", "calls itself by another name"),
    ],
)
def test_whoever_is_not_vouched_for_is_not_signed_in(provider: Provider, monkeypatch: pytest.MonkeyPatch, what: str, message: str) -> None:
    provider.lies(what)
    browser = browser_of(provider, monkeypatch)
    found = come_back(browser)
    assert found.status_code in (401, 403, 502) and message in found.text, found.text[-800:]
    assert browser.get("/").headers["location"].startswith("/sign-in")


def test_a_sign_in_counts_once_in_its_own_browser_and_for_some_minutes(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.lies("")
    browser, other = browser_of(provider, monkeypatch), browser_of(provider, monkeypatch)
    other.site.kept = browser.site.kept
    assert other.site.provider is not None
    other.site.provider.kept = browser.site.kept
    back = httpx.get(browser.get("/sign-in/with-provider").headers["location"]).headers["location"].removeprefix("http://localhost")
    assert other.get(back).status_code == 401  # somebody else's browser, who was sent the address
    assert browser.get(back).status_code == 401  # and now it is used up
    back = httpx.get(browser.get("/sign-in/with-provider").headers["location"]).headers["location"].removeprefix("http://localhost")
    assert browser.get(back.replace("state=", "state=x")).status_code == 401
    assert browser.get(back).status_code == 303 and browser.get(back).status_code == 401
    now = [0.0]
    browser = browser_of(provider, monkeypatch)
    assert browser.site.provider is not None
    browser.site.provider.kept = in_memory(lambda: now[0])
    back = httpx.get(browser.get("/sign-in/with-provider").headers["location"]).headers["location"].removeprefix("http://localhost")
    now[0] = 601.0
    assert browser.get(back).status_code == 401
    assert browser.get("/sign-in/with-provider?next=//evil.test").status_code == 303
    assert come_back(browser, "//evil.test").headers["location"] == "/"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuer": "http://login.acme.test"}, "must be an https address"),
        ({"client_secret": "hunter2"}, "in the file itself"),
        ({"client_secret": "env:NOT_THERE"}, "has no NOT_THERE"),
        ({"client_id": ""}, "`client_id` of [oidc] is missing"),
        ({"scopes": "all"}, "`scopes` is not a setting"),
    ],
)
def test_settings_that_cannot_work_are_said(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(PolicyError) as e:
        read_users(provider.users(monkeypatch, **changes))
    assert message in str(e.value.diagnostics[0])


def test_a_provider_that_is_away_is_said(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    users = read_users(provider.users(monkeypatch, issuer="http://127.0.0.1:9"))
    found = come_back(Browser(example_snapshot("static"), Options(users=users)))
    assert found.status_code == 502 and "cannot be reached" in found.text
