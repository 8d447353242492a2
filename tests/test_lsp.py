"""The language server, driven by a real client over standard input and output."""

from __future__ import annotations

import asyncio
import re
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

from helpers import EXAMPLES, policy_text
from roe.diagnostics import errors
from roe.grammar.names import Names
from roe.lsp.service import Project
from roe.lsp.symbols import uses
from roe.plan.operators import Expr
from roe.policy.loader import load_policy_files
from roe.stages.build import build

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


RENAMED = """
roe: 1
name: x
roles: [ae]
fields:
  account: {size: number, fit: boolean, owner: {column: Keeper}}
  opportunity: {phase: string}
track: [opportunity.phase]
books:
  core: {accounts: account.size > 3, reps: rep.active, capacity: 10, value: account.size, eligible: account.fit}
pools:
  desk: {members: rep.active, strategy: top_score, score: lead.account.size, credit_back: [{name: small, when: account.size < 3}]}
windows:
  kept: {lasts: 90 days, renewed_by: 'type = "call" and account.size > 1'}
tables:
  tier: {table: tier.csv}
define:
  opportunity.moved: value_at(opportunity.phase, today - 1 day) != value_at(opportunity, "phase", today)
engagement:
  account:
    ae:
      - {name: large, when: account.size > 10, then: keep, because: "{account.size} people"}
      - {name: other, then: open}
"""
TIER = "size,fit,tier\n500+,true,big\n1..3,-,small\n"


@pytest.mark.parametrize(("name", "places"), [("account.size", 9), ("account.fit", 3), ("opportunity.phase", 4)])
def test_a_name_is_written_anew_wherever_somebody_wrote_it_and_nowhere_else(name: str, places: int, tmp_path: Path) -> None:
    root = policy_text(tmp_path, RENAMED, tier_csv=TIER)
    project = Project(root)
    assert not errors(project.refresh())
    old = name.partition(".")[2]
    declared = next(u.span for u in project.symbols if u.declares and u.name == ("field", name))
    spans = project.rename(declared.file, declared.line, declared.column - 1, "renamed")
    assert isinstance(spans, list) and len(spans) == places
    texts = {"policy.yaml": RENAMED.split("\n"), "tier.csv": TIER.split("\n")}
    for span in sorted(spans, key=lambda span: -span.column):
        line = texts[span.file][span.line - 1]
        assert line[span.column - 1 : span.end_column - 1] == old
        texts[span.file][span.line - 1] = line[: span.column - 1] + "renamed" + line[span.end_column - 1 :]
    assert not any(re.search(rf"\b{old}\b", line) for lines in texts.values() for line in lines)
    for file, lines in texts.items():
        (root / file).write_text("\n".join(lines), "utf-8")
    assert not errors(Project(root).refresh())


def test_a_standard_field_keeps_its_name_though_the_policy_gives_it_a_column(tmp_path: Path) -> None:
    project = Project(policy_text(tmp_path, RENAMED, tier_csv=TIER))
    project.refresh()
    line, column = next((i, x.index("owner:")) for i, x in enumerate(RENAMED.split("\n"), 1) if "owner:" in x)
    assert "standard field" in project.rename("policy.yaml", line, column, "keeper")


@pytest.mark.parametrize("folder", sorted(x.name for x in EXAMPLES.iterdir() if (x / "policy.yaml").is_file()))
def test_every_use_is_the_name_itself(folder: str) -> None:
    checked: list[tuple[Expr, Names]] = []
    policy, _ = build(EXAMPLES / folder, checked=checked)
    assert policy is not None and checked
    for use in uses(policy, load_policy_files(EXAMPLES / folder)[0], checked):
        written = use.span.excerpt[use.span.column - 1 : use.span.end_column - 1]
        assert use.name[1].endswith(written) and use.name[1].removesuffix(written) in ("", use.name[1].partition(".")[0] + "."), use
