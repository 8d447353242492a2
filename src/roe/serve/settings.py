"""The settings of a service: from the command line, and from a file `serve.toml` for what is sent and received.

    [server]
    address = "https://roe.example.com"      # how others reach it, which HubSpot signs
    queue = 1000                             # requests that may wait
    body = 1048576                           # bytes of one request

    [hubspot]
    secret = "env:HUBSPOT_SECRET"

    [salesforce]
    organization = "00D…"
    secret = "env:SALESFORCE_SECRET"         # in the address of outbound messages, and signs JSON

    [forms.website]
    secrets = ["env:FORM_SECRET"]

    [receivers.crm]
    url = "https://flows.example.com/roe"
    secrets = ["env:ROE_OUT_SECRET"]         # the newest first; older ones sign too
    kinds = ["assigned", "missed"]

A secret is written `env:NAME`, so that the file can be shared.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from roe.diagnostics import PolicyError, suggest, user_error
from roe.dynamic import Json
from roe.files import read_toml
from roe.serve.letters import DIGEST, FORMS, KINDS, Receiver

Table = Mapping[str, object]  # of the file, as TOML has it
FILE = "serve.toml"
BODY_LIMIT = 1 << 20
QUEUE = 1000


@dataclass(frozen=True, slots=True)
class Form:
    """A web form that may send records: who signs them, where the signature is, and what they become."""

    name: str
    secrets: tuple[str, ...]
    header: str = "x-signature"
    entity: str = "lead"


@dataclass(frozen=True, slots=True)
class Settings:
    policy: Path
    state: str
    host: str = "127.0.0.1"
    port: int = 8321
    tokens: Path | None = None
    address: str = ""
    queue: int = QUEUE
    body_limit: int = BODY_LIMIT
    watch: bool = False  # whether the folder of the policy is looked at for changes
    activate: bool = False  # whether this policy takes over if another is in force
    shadow: Path | None = None
    hubspot: str = ""
    hubspot_objects: Mapping[str, str] = field(default_factory=dict)
    salesforce: str = ""
    organization: str = ""
    forms: Mapping[str, Form] = field(default_factory=dict)
    receivers: tuple[Receiver, ...] = ()
    users: Path | None = None  # who may sign in to the pages
    trust_header: str = ""  # the header in which a proxy gives the login of a user


_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "server": ("address", "queue", "body"),
    "hubspot": ("secret", "objects"),
    "salesforce": ("secret", "organization"),
}
_FORM = ("secrets", "header", "entity")
_RECEIVER = ("url", "secrets", "kinds", "form", "private", "to")


def read_settings(path: Path | None, environment: Mapping[str, str] = os.environ) -> Json:
    """What the file says, as arguments of `Settings`; nothing without a file. Raises PolicyError for what it cannot mean."""
    if path is None:
        return {}
    return _File(path, environment).read()


class _File:
    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path, self.environment = path, environment

    def read(self) -> Json:
        try:
            raw = read_toml(self.path)
        except (OSError, ValueError) as e:
            raise self.wrong(f"the settings cannot be read: {e}", "see docs/serve.md") from None
        self.known(raw, (*_SECTIONS, "forms", "receivers"), "section")
        for name, keys in _SECTIONS.items():
            self.known(self.table(raw, name), keys, f"setting of `[{name}]`")
        server, hubspot, salesforce = (self.table(raw, name) for name in _SECTIONS)
        settings: Json = {
            "address": self.text(server, "address").rstrip("/"),
            "queue": self.number(server, "queue", QUEUE),
            "body_limit": self.number(server, "body", BODY_LIMIT),
            "hubspot": self.secret(hubspot.get("secret", ""), "hubspot.secret"),
            "hubspot_objects": self.table(hubspot, "objects"),
            "salesforce": self.secret(salesforce.get("secret", ""), "salesforce.secret"),
            "organization": self.text(salesforce, "organization"),
        }
        settings["forms"] = {name: self.form(name, self.table(self.table(raw, "forms"), name)) for name in self.table(raw, "forms")}
        receivers = self.table(raw, "receivers")
        settings["receivers"] = tuple(self.receiver(name, self.table(receivers, name)) for name in receivers)
        return settings

    def form(self, name: str, raw: Table) -> Form:
        self.known(raw, _FORM, f"setting of `[forms.{name}]`")
        secrets = self.secrets(raw, f"forms.{name}")
        if not secrets:
            raise self.wrong(f"the form `{name}` has no secret", f'add secrets = ["env:NAME"] to [forms.{name}]')
        return Form(name, secrets, self.text(raw, "header", "x-signature").lower(), self.text(raw, "entity", "lead"))

    def receiver(self, name: str, raw: Table) -> Receiver:
        self.known(raw, _RECEIVER, f"setting of `[receivers.{name}]`")
        kinds = tuple(map(str, self.listed(raw, "kinds", name, [*KINDS])))
        for kind in kinds:
            if kind not in (*KINDS, DIGEST):
                raise self.wrong(
                    f"`{kind}` is not a kind of letter",
                    suggest(str(kind), (*KINDS, DIGEST), f"the kinds are {', '.join((*KINDS, DIGEST))}"),
                )
        form = self.text(raw, "form", "json")
        if form not in FORMS:
            raise self.wrong(f"`{form}` is not a form of letters", f"the forms are {', '.join(FORMS)}")
        secrets = self.secrets(raw, f"receivers.{name}")
        for secret in secrets:
            try:
                base64.b64decode(secret.removeprefix("whsec_"), validate=True)
            except (ValueError, binascii.Error):
                raise self.wrong(f"a secret of `{name}` is not base64", "make one: openssl rand -base64 32") from None
        if form == "json" and not secrets:
            raise self.wrong(f"the receiver `{name}` has no secret to sign with", f'add secrets = ["env:NAME"] to [receivers.{name}]')
        return Receiver(name, self.text(raw, "url"), secrets, kinds, form, raw.get("private") is True, self.text(raw, "to"))

    # --- values -------------------------------------------------------------------------------------------------------

    def table(self, raw: Table, name: str) -> Table:
        table = raw.get(name, {})
        if not isinstance(table, dict):
            raise self.wrong(f"`{name}` must be a section", f"write [{name}] on a line of its own")
        return table

    def text(self, raw: Table, name: str, default: str = "") -> str:
        text = raw.get(name, default)
        if not isinstance(text, str):
            raise self.wrong(f"`{name}` must be a text", f'write {name} = "…"')
        return text

    def number(self, raw: Table, name: str, default: int) -> int:
        number = raw.get(name, default)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise self.wrong(f"`{name}` must be a whole number above zero", f"write {name} = {default}")
        return number

    def secrets(self, raw: Table, name: str) -> tuple[str, ...]:
        return tuple(self.secret(text, f"{name}.secrets") for text in self.listed(raw, "secrets", name, []))

    def listed(self, raw: Table, name: str, section: str, default: list[object]) -> list[object]:
        values = raw.get(name, default)
        if not isinstance(values, list):
            example = '["env:NAME"]' if name == "secrets" else '["assigned"]'
            raise self.wrong(f"`{section}.{name}` must be a list", f"write {name} = {example}")
        return values

    def secret(self, text: object, name: str) -> str:
        """A secret of the environment; empty if none is set."""
        if text == "":
            return ""
        if not isinstance(text, str) or not text.startswith("env:"):
            raise self.wrong(f"`{name}` is in the file itself", 'keep secrets in the environment, and write "env:NAME"')
        secret = self.environment.get(text.removeprefix("env:"), "")
        if not secret:
            raise self.wrong(
                f"the environment has no {text.removeprefix('env:')}, which `{name}` names", "set it before the service starts"
            )
        return secret

    def known(self, raw: Table, names: Sequence[str], what: str) -> None:
        for name in raw:
            if name not in names:
                raise self.wrong(f"`{name}` is not a {what}", suggest(name, names, f"there are {', '.join(names)}"))

    def wrong(self, message: str, help: str) -> PolicyError:
        return user_error("R908", message, self.path, help)
