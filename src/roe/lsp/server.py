"""`roe lsp`: the service in the words of the Language Server Protocol, by pygls."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path

from roe import __version__
from roe.diagnostics import DOCS, Diagnostic, told
from roe.lsp.service import Item, Project, project_of
from roe.source import Span

SEVERITY = {"error": lsp.DiagnosticSeverity.Error, "warning": lsp.DiagnosticSeverity.Warning, "hint": lsp.DiagnosticSeverity.Hint}
KIND = {
    "field": lsp.CompletionItemKind.Field, "value": lsp.CompletionItemKind.EnumMember, "function": lsp.CompletionItemKind.Function,
    "list": lsp.CompletionItemKind.Constant, "pool": lsp.CompletionItemKind.Module, "name": lsp.CompletionItemKind.Variable,
    "keyword": lsp.CompletionItemKind.Keyword,
}  # fmt: skip


class AtPosition(Protocol):
    """What every request about a place in a document has."""

    text_document: lsp.TextDocumentIdentifier
    position: lsp.Position


class PolicyServer(LanguageServer):
    """The projects that are open, by their folders."""

    def __init__(self) -> None:
        super().__init__("roe", __version__)
        self.projects: dict[Path, Project] = {}
        self.files_with_findings: dict[Path, set[str]] = {}  # the files of a project that had something to say

    def project(self, uri: str) -> Project | None:
        """The project of a document, with the texts that are open now."""
        path = _path(uri)
        if path is None:
            return None
        texts = {p: d.source for u, d in self.workspace.text_documents.items() if (p := _path(u)) is not None}
        nearest = project_of(path, texts)
        if nearest is None:
            return None
        project = self.projects.setdefault(nearest.root, nearest)
        project.open = {p: text for p, text in texts.items() if p.is_relative_to(project.root)}
        return project

    def check(self, uri: str, typing: bool = False) -> None:
        """Say what is to be said of a document's project, and take back what no longer is."""
        project = self.project(uri)
        if project is None:
            return
        by_file: dict[str, list[lsp.Diagnostic]] = {}
        for d in project.refresh(typing):
            by_file.setdefault(d.span.file, []).append(_diagnostic(project, d))
        own = _path(uri)
        asked = {own.relative_to(project.root).as_posix()} if own is not None else set()  # an editor waits for a word about its own file
        for file in sorted({*by_file, *self.files_with_findings.get(project.root, set()), *asked}):
            uri_of = _uri(project, file)
            document = self.workspace.text_documents.get(uri_of)
            version = document.version if document is not None else None
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri_of, by_file.get(file, []), version))
        self.files_with_findings[project.root] = set(by_file)

    def at(self, params: AtPosition) -> tuple[Project, str, int, int, str] | None:
        """(project, file, line from 1, column from 0, the line's text) of a position."""
        project = self.project(params.text_document.uri)
        path = _path(params.text_document.uri)
        if project is None or path is None:
            return None
        lines = self.workspace.get_text_document(params.text_document.uri).source.split("\n")
        number = params.position.line
        text = lines[number] if number < len(lines) else ""
        column = _codepoints(text, params.position.character)
        return project, path.relative_to(project.root).as_posix(), number + 1, column, text


def _path(uri: str) -> Path | None:
    path = to_fs_path(uri)
    return Path(path).resolve() if path else None


def _uri(project: Project, file: str) -> str:
    return from_fs_path(str(project.root / file)) or ""


def _codepoints(text: str, units: int) -> int:
    """A column in UTF-16 units, as editors count, in characters."""
    seen = 0
    for i, char in enumerate(text):
        if seen >= units:
            return i
        seen += 2 if ord(char) > 0xFFFF else 1
    return len(text)


def _units(text: str, column: int) -> int:
    return column + sum(ord(char) > 0xFFFF for char in text[:column])


def range_of(span: Span) -> lsp.Range:
    start, end = (max(0, c - 1) for c in (span.column, span.end_column))
    line = max(0, span.line - 1)
    return lsp.Range(lsp.Position(line, _units(span.excerpt, start)), lsp.Position(line, _units(span.excerpt, end)))


def _diagnostic(project: Project, d: Diagnostic) -> lsp.Diagnostic:
    parts = [
        d.message,
        f"for example: {d.witness}" if d.witness else "",
        f"in the data: {told(d.touches)}" if d.touches else "",
        f"help: {d.help}",
    ]
    related = [lsp.DiagnosticRelatedInformation(lsp.Location(_uri(project, span.file), range_of(span)), note) for note, span in d.related]
    return lsp.Diagnostic(
        range_of(d.span), "\n".join(filter(None, parts)), SEVERITY[d.severity], d.code, source="roe" + (f" ({d.certainty})" if d.certainty else ""),
        related_information=related or None, data={"page": f"{DOCS}/{d.code}.md"},
    )  # fmt: skip


def _items(items: Iterable[Item]) -> lsp.CompletionList:
    return lsp.CompletionList(
        False, [lsp.CompletionItem(i.label, kind=KIND[i.kind], detail=i.detail or None, insert_text=i.insert or None) for i in items]
    )


def make() -> PolicyServer:
    """A server with all its features."""
    server = PolicyServer()

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: PolicyServer, params: lsp.DidOpenTextDocumentParams) -> None:
        ls.check(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: PolicyServer, params: lsp.DidChangeTextDocumentParams) -> None:
        ls.check(params.text_document.uri, typing=True)

    @server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: PolicyServer, params: lsp.DidSaveTextDocumentParams) -> None:
        ls.check(params.text_document.uri)

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=[".", '"', "(", " "]))
    def complete(ls: PolicyServer, params: lsp.CompletionParams) -> lsp.CompletionList:
        at = ls.at(params)
        return _items(at[0].complete(at[4][: at[3]]) if at is not None else [])

    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    def hover(ls: PolicyServer, params: lsp.HoverParams) -> lsp.Hover | None:
        at = ls.at(params)
        text = at[0].hover(at[1], at[2], at[3], at[4]) if at is not None else None
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text)) if text else None

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: PolicyServer, params: lsp.DefinitionParams) -> lsp.Location | None:
        at = ls.at(params)
        span = at[0].definition(at[1], at[2], at[3]) if at is not None else None
        return lsp.Location(_uri(at[0], span.file), range_of(span)) if at is not None and span is not None else None

    @server.feature(lsp.TEXT_DOCUMENT_RENAME)
    def rename(ls: PolicyServer, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        at = ls.at(params)
        if at is None:
            return None
        renamed = at[0].rename(at[1], at[2], at[3], params.new_name)
        if isinstance(renamed, str):
            raise JsonRpcInvalidParams(renamed)
        edits: dict[str, list[lsp.TextEdit]] = {}
        for span in renamed:
            edits.setdefault(_uri(at[0], span.file), []).append(lsp.TextEdit(range_of(span), params.new_name))
        return lsp.WorkspaceEdit(changes=edits)

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def formatting(ls: PolicyServer, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        project, path = ls.project(params.text_document.uri), _path(params.text_document.uri)
        new = project.format(path) if project is not None and path is not None else None
        if new is None:
            return []
        lines = ls.workspace.get_text_document(params.text_document.uri).source.count("\n") + 1
        return [lsp.TextEdit(lsp.Range(lsp.Position(0, 0), lsp.Position(lines, 0)), new)]

    @server.feature(lsp.TEXT_DOCUMENT_CODE_LENS)
    def lenses(ls: PolicyServer, params: lsp.CodeLensParams) -> list[lsp.CodeLens]:
        project, path = ls.project(params.text_document.uri), _path(params.text_document.uri)
        if project is None or path is None:
            return []
        file = path.relative_to(project.root).as_posix()
        here = [lens for lens in project.lenses if lens.span.file == file]
        return [lsp.CodeLens(range_of(lens.span), lsp.Command(lens.text, "")) for lens in here]

    return server
