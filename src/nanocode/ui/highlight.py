"""Colours for code, by pygments once it is loaded; knows nothing of where code comes from."""

import asyncio
from importlib import import_module
from typing import Any

from nanocode.ui.markdown import uncolored
from nanocode.ui.rows import BLUE, BOLD, CYAN, DIM, GREEN, MAGENTA, RED, YELLOW, Row

# A lexer of a long line can take a second; nobody reads the colours of a minified file.
_LONGEST = 1000
_STYLES = {
    "Comment": DIM,
    "Keyword": MAGENTA,
    "Literal.String": GREEN,
    "Literal.Number": CYAN,
    "Name.Function": BLUE,
    "Name.Class": f"{BOLD};{BLUE}",
    "Name.Decorator": YELLOW,
    "Name.Builtin": CYAN,
    "Name.Tag": BLUE,
    "Name.Attribute": YELLOW,
    "Generic.Deleted": RED,
    "Generic.Inserted": GREEN,
    "Generic.Heading": BOLD,
    "Generic.Subheading": CYAN,
    "Generic.Prompt": DIM,
}
_COMMON = ("python", "bash", "json", "javascript", "diff")


class Highlighter:
    """Colours lines. Until `load` has ended, and for unknown languages, they stay as they are."""

    def __init__(self) -> None:
        self._pygments: Any = None
        self._lexers: dict[str, Any] = {}
        self._styles: dict[Any, str] = {}

    async def load(self) -> None:
        """Import pygments and its commonest lexers beside the running loop: they take 150 ms, which would be seen."""
        if self._pygments is None:
            self._pygments = await asyncio.to_thread(_loaded)

    def __call__(self, language: str, before: list[str], lines: list[str]) -> list[Row]:
        """A row for each of `lines`; `before` is lexed too, so that a string over several lines keeps its colour."""
        lexer = self._lexer(language)
        if lexer is None or any(len(line) > _LONGEST for line in (*before, *lines)):
            return uncolored(language, before, lines)
        rows: list[Row] = [[]]
        for kind, text in lexer.get_tokens("\n".join((*before, *lines))):
            style = self._style(kind)
            for number, piece in enumerate(text.split("\n")):
                if number:
                    rows.append([])
                if piece:
                    rows[-1].append((style, piece))
        return rows[len(before) : len(before) + len(lines)]

    def _lexer(self, language: str) -> Any:
        if self._pygments is None or not language:
            return None
        if language not in self._lexers:
            found = self._pygments.find_lexer_class_by_name if self._known(language) else None
            self._lexers[language] = found(language)(stripnl=False, ensurenl=False) if found else None
        return self._lexers[language]

    def _known(self, language: str) -> bool:
        return any(language.lower() in lexer[1] for lexer in self._pygments.get_all_lexers(plugins=False))

    def _style(self, kind: Any) -> str:
        if kind not in self._styles:
            names = [".".join(kind[:count]) for count in range(len(kind), 0, -1)]
            self._styles[kind] = next((_STYLES[name] for name in names if name in _STYLES), "")
        return self._styles[kind]


def _loaded() -> Any:
    pygments = import_module("pygments.lexers")
    for name in _COMMON:
        # A lexer compiles its expressions when it sees the first text.
        list(pygments.get_lexer_by_name(name).get_tokens("x"))
    return pygments
