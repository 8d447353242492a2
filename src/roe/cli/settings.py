"""`--data` and `--as-of`, typed once: on the command line, in the environment, or in the file `roe.toml` beside policy.yaml.

The command line comes first, then ROE_DATA and ROE_AS_OF, then roe.toml. A path in roe.toml is from the policy's folder.

    data = "../export"
    as_of = 2026-02-01
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from roe.diagnostics import suggest, user_error

Command = TypeVar("Command", bound=Callable[..., object])

FILE = "roe.toml"
KEYS = {"data": "ROE_DATA", "as_of": "ROE_AS_OF"}


def policy_folder(given: object) -> Path | None:
    """The folder of the policy that is named, or of the nearest one at or above the current folder; None if there is none."""
    if given is not None:
        path = Path(str(given))
        return path.parent if path.name == "policy.yaml" else path
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / "policy.yaml").is_file()), None)


def setting(name: str, policy: str | os.PathLike[str] | None) -> str | None:
    """What the environment or the policy's roe.toml says of a setting; None if neither does. What is wrong ends the command."""
    root = policy_folder(policy)
    text = os.environ.get(KEYS[name], "")
    if text:
        return _from_here(text, root) if name == "data" else text
    value = None if root is None else _read(root / FILE).get(name)
    if value is None:
        return None
    return str(Path(os.path.normpath(root / value))) if name == "data" and root is not None else str(value)


def _from_here(path: str, root: Path | None) -> str:
    """A path of the environment: from the current folder, or from the policy's if there is nothing of that name here."""
    return str(root / path) if root is not None and not Path(path).exists() and (root / path).exists() else path


def _read(path: Path) -> dict[str, str]:
    from roe.files import read_toml

    if not path.is_file():
        return {}
    try:
        raw = read_toml(path)
    except (OSError, ValueError) as e:
        raise user_error("R804", f"`{FILE}` cannot be read: {e}", path, 'write lines such as `data = "export"`') from e
    for key in raw:
        if key not in KEYS:
            raise user_error("R804", f"`{key}` is not a setting", path, suggest(key, KEYS, f"the settings are {', '.join(KEYS)}"))
    settings = {key: value.isoformat() if isinstance(value, date) else value for key, value in raw.items()}
    for key, value in settings.items():
        if not isinstance(value, str) or not value or "\0" in value:
            raise user_error("R804", f"`{key}` must be a text", path, f'write {key} = "…"')
    return settings


class Setting(click.Option):
    """An option whose value may stand in the environment or in roe.toml.

    `policy` names the parameter with the policy's folder. The setting counts only together with the option `beside`, and not with the
    option `without`: `roe graph` needs no data unless a record is named.
    """

    def __init__(self, *args: Any, setting: str, policy: str = "policy", beside: str = "", without: str = "", **kwargs: Any) -> None:
        place = f"{KEYS[setting]}, or `{setting}` in {FILE}"
        super().__init__(*args, **{**kwargs, "help": f"{kwargs['help']} Or set {place}."})
        self.setting, self.policy, self.beside, self.without, self.place = setting, policy, beside, without, place

    def consume_value(self, ctx: click.Context, opts: Mapping[str, click.Parameter]) -> tuple[object, click.core.ParameterSource]:
        value, source = super().consume_value(ctx, opts)
        counts = (not self.beside or self.beside in opts) and not (self.without and opts.get(self.without))
        if source is ParameterSource.COMMANDLINE or not counts or ctx.resilient_parsing:
            return value, source
        given = opts.get(self.policy)
        text = setting(self.setting, given if isinstance(given, (str, os.PathLike)) else None)
        return (value, source) if text is None else (text, ParameterSource.ENVIRONMENT)

    def get_error_hint(self, ctx: click.Context | None) -> str:
        return f"{super().get_error_hint(ctx)} (or {self.place})"  # type: ignore[arg-type, unused-ignore]


def is_data_a_setting() -> bool:
    """Whether the `--data` of the running command was not typed, but comes from the environment or roe.toml."""
    return click.get_current_context().get_parameter_source("data") is ParameterSource.ENVIRONMENT


def data_setting(help: str, **more: object) -> Callable[[Command], Command]:
    return click.option("--data", cls=Setting, setting="data", type=click.Path(path_type=Path), help=help, **more)


def as_of_setting(help: str, **more: object) -> Callable[[Command], Command]:
    return click.option("--as-of", "as_of", cls=Setting, setting="as_of", metavar="WHEN", help=help, **more)
