"""The language server, driven by a real client over standard input and output."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls")

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from helpers import EXAMPLES

Session = Callable[["Editor"], Awaitable[None]]


class Editor:
    """A client with one policy folder open."""

    def __init__(self, client: LanguageClient, root: Path) -> None:
        self.client, self.root = client, root
        self.said: dict[str, list[lsp.Diagnostic]] = {}
        self.news = asyncio.Condition()
        self.version = 1
        self.answered: dict[str, int] = {}  # the version of a text that the server spoke about last
        self.texts: dict[str, str] = {}

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    async def open(self, name: str) -> None:
        self.texts[name] = (self.root / name).read_text("utf-8")
        self.client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(self.uri(name), lsp.LanguageKind.Yaml, self.version, self.texts[name]))
        )
        await self.settled(name)

    async def write(self, name: str, old: str, new: str) -> None:
        """Change the text that is open, and save nothing."""
        assert old in self.texts[name]
        self.texts[name] = self.texts[name].replace(old, new, 1)
        self.version += 1
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.version, self.uri(name)),
                [lsp.TextDocumentContentChangeWholeDocument(self.texts[name])],
            )
        )
        await self.settled(name)

    async def settled(self, name: str) -> None:
        """Wait until the server has spoken about the text as it is now."""
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(lambda: self.answered.get(self.uri(name)) == self.version), 600)
        await self.client.text_document_code_lens_async(lsp.CodeLensParams(lsp.TextDocumentIdentifier(self.uri("policy.yaml"))))

    def at(self, name: str, text: str, inside: int = 1) -> Any:
        """The position so many characters into the first place where a text stands."""
        offset = self.texts[name].index(text) + inside
        line = self.texts[name].count("\n", 0, offset)
        column = offset - (self.texts[name].rfind("\n", 0, offset) + 1)
        return lsp.TextDocumentIdentifier(self.uri(name)), lsp.Position(line, column)


def renaming(at: Any, name: str) -> lsp.RenameParams:
    return lsp.RenameParams(at[0], at[1], name)


@pytest.fixture
def session(tmp_path: Path) -> Callable[[str, Session], None]:
    def run(example: str, act: Session) -> None:
        root = tmp_path / "policy"
        shutil.copytree(EXAMPLES / example, root)

        async def whole() -> None:
            client = LanguageClient("test", "1")
            editor = Editor(client, root)

            @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
            async def hear(params: lsp.PublishDiagnosticsParams) -> None:
                async with editor.news:
                    editor.said[params.uri] = list(params.diagnostics)
                    editor.answered[params.uri] = params.version or 0
                    editor.news.notify_all()

            await client.start_io(sys.executable, "-m", "roe", "lsp")
            try:
                await client.initialize_async(lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=root.as_uri()))
                client.initialized(lsp.InitializedParams())
                await act(editor)
            finally:
                await client.shutdown_async(None)
                client.exit(None)
                await client.stop()  # type: ignore[no-untyped-call]

        asyncio.run(whole())

    return run


def test_diagnostics_come_and_go_as_one_types(session: Any) -> None:
    async def act(e: Editor) -> None:
        await e.open("policy.yaml")
        await e.write("policy.yaml", "account.tier = ", "account.teir = ")
        (wrong,) = [d for d in e.said[e.uri("policy.yaml")] if d.code == "R204"]
        line = e.texts["policy.yaml"].split("\n")[wrong.range.start.line]
        assert line[wrong.range.start.character : wrong.range.end.character] == "teir"
        assert "did you mean `tier`?" in str(wrong.message)
        await e.write("policy.yaml", "account.teir = ", "account.tier = ")
        assert not [d for d in e.said[e.uri("policy.yaml")] if d.severity == lsp.DiagnosticSeverity.Error]
        await e.write(
            "policy.yaml",
            "      - name: named",
            "      - {name: first, when: account.domain in strategic, then: keep}\n      - name: named",
        )
        (shadow,) = [d for d in e.said[e.uri("policy.yaml")] if d.code == "R405"]
        assert shadow.source == "roe (proven)" and shadow.related_information
        assert "in the data: " in str(shadow.message)

    session("static", act)


def test_completion_knows_fields_values_functions_lists_and_pools(session: Any) -> None:
    async def act(e: Editor) -> None:
        await e.open("policy.yaml")

        async def offered(text: str, inside: int) -> dict[str, Any]:
            document, position = e.at("policy.yaml", text, inside)
            found = await e.client.text_document_completion_async(lsp.CompletionParams(document, position))
            assert isinstance(found, lsp.CompletionList)
            return {i.label: i.kind for i in found.items}

        fields = await offered("lead.country in", len("lead."))
        assert fields["country"] == lsp.CompletionItemKind.Field and "language" in fields and "strategy" not in fields
        roles = await offered("account.owner.ae != null", len("account.owner."))
        assert set(roles) == {"ae", "sdr"}
        values = await offered('"demo", "pricing"', 2)
        assert values == dict.fromkeys(("demo", "pricing", "contact", "webinar"), lsp.CompletionItemKind.EnumMember)
        pools = await offered("{route: amer-sdrs}", len("{route: "))
        assert set(pools) == {"emea-sdrs", "amer-sdrs", "triage"}
        names = await offered("domain(lead.email) in competitors", len("domain(lead.email) in c"))
        assert {"competitors", "count", "today", "account"} <= set(names)

    session("inbound", act)


def test_hover_definition_and_rename(session: Any) -> None:
    async def act(e: Editor) -> None:
        await e.open("policy.yaml")
        await e.open("scoring.yaml")

        async def hover(name: str, text: str, inside: int) -> str:
            found = await e.client.text_document_hover_async(lsp.HoverParams(*e.at(name, text, inside)))
            return found.contents.value if found is not None and isinstance(found.contents, lsp.MarkupContent) else ""

        assert "`SMB`, `Mid-Market`, `Enterprise`" in await hover("policy.yaml", "segment: {type", 2)
        assert "computed (score) by 3 rules" in await hover("policy.yaml", 'account.tier = "A"', 10)
        assert "list `strategic`" in await hover("policy.yaml", "account.domain in strategic", 20)
        found = await e.client.text_document_definition_async(lsp.DefinitionParams(*e.at("policy.yaml", "account.strategic_owner", 12)))
        assert isinstance(found, lsp.Location) and found.uri == e.uri("scoring.yaml")
        edit = await e.client.text_document_rename_async(renaming(e.at("policy.yaml", "account.strategic_owner", 12), "named_owner"))
        assert edit is not None and edit.changes is not None and set(edit.changes) == {e.uri("policy.yaml"), e.uri("scoring.yaml")}
        for uri, edits in edit.changes.items():
            name = uri.rpartition("/")[2]
            lines = e.texts[name].split("\n")
            for x in edits:
                assert lines[x.range.start.line][x.range.start.character : x.range.end.character] == "strategic_owner"
                lines[x.range.start.line] = lines[x.range.start.line].replace("strategic_owner", x.new_text)
            (e.root / name).write_text("\n".join(lines), "utf-8")
        from roe.stages.build import build

        policy, problems = build(e.root)
        assert policy is not None and not problems
        with pytest.raises(JsonRpcException, match="standard field"):
            await e.client.text_document_rename_async(renaming(e.at("policy.yaml", "account.domain in", 10), "host"))

    session("static", act)


def test_formatting_and_what_each_rule_decides(session: Any) -> None:
    async def act(e: Editor) -> None:
        await e.open("policy.yaml")
        await e.write("policy.yaml", "when: territory != null", "when: territory   !=   null")
        options = lsp.FormattingOptions(2, True)
        edits = await e.client.text_document_formatting_async(
            lsp.DocumentFormattingParams(lsp.TextDocumentIdentifier(e.uri("policy.yaml")), options)
        )
        assert edits is not None and len(edits) == 1 and "when: territory != null" in edits[0].new_text
        found = await e.client.text_document_code_lens_async(lsp.CodeLensParams(lsp.TextDocumentIdentifier(e.uri("policy.yaml"))))
        shown = {
            e.texts["policy.yaml"].split("\n")[x.range.start.line].strip(): x.command.title for x in found or () if x.command is not None
        }
        assert shown["- name: named"] == "decides 2 of 16 accounts as ae (12%)"
        assert shown["- name: desk"] == "decides 13 of 16 accounts as csm (81%)"

    session("static", act)
