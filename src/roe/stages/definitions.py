"""`define:` named definitions, fields computed once per record; they lower to `Derive`."""

from __future__ import annotations

from collections.abc import Mapping

from roe.grammar import types as t
from roe.grammar.types import Type
from roe.plan.operators import Derive
from roe.policy.context import Context
from roe.policy.section import Expression, Heading
from roe.source import Text

DEFINE = Heading("define", Mapping[Text, Expression], "entity.name: an expression; a field computed once per record")


def declare(definitions: Mapping[Text, Text], cx: Context) -> None:
    busy: list[str] = []
    for key, text in definitions.items():
        field = cx.new_field(key, "write `account.name_of_the_field: expression`")
        if field is None:
            continue
        entity, name = field

        def find(key: Text = key, text: Text = text, entity: str = entity) -> Type:
            if str(key) in busy:
                chain = " -> ".join([*busy[busy.index(str(key)) :], str(key)])
                cx.say("R208", key, f"`{key}` depends on itself: {chain}", "break the circle")
                return t.ANY
            busy.append(str(key))
            try:
                return cx.typed(text, cx.names(entity))[1]
            finally:
                busy.pop()

        cx.model.steps[entity, name] = find


def lower(definitions: Mapping[Text, Text], cx: Context) -> None:
    for key, text in definitions.items():
        entity, _, name = str(key).partition(".")
        if (entity, name) not in cx.model.steps:
            continue
        cx.model.field_type(entity, name)
        with cx.apart():  # said already, when the type was found
            expr = cx.parse(text)
        if expr:
            cx.steps[entity, name] = Derive(entity, name, "definition", expr)
