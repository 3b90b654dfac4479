"""Colours for code, by pygments once it is loaded; knows nothing of where code comes from."""

import asyncio
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from nanocode.ui.markdown import BEFORE, uncolored
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
_COMMENT = ("Comment",)
# On top of a lexer's states, where it has none of its own for it: most match a comment in one piece.
_IN_COMMENT = "/*"
# So many lines are read again by a lexer that cannot go on.
_CONTEXT = 10
_COMMON = ("python", "bash", "json", "javascript", "diff")


class Highlighter:
    """Colours lines. Until `load` has ended, and for unknown languages, they stay as they are."""

    def __init__(self) -> None:
        self._pygments: Any = None
        self._lexers: dict[str, Any] = {}
        self._styles: dict[Any, str] = {}
        # Lexers that cannot go on from a state: they read some lines before instead.
        self._stateless: set[str] = set()
        # Where the last call ended: the language, its lines, and the lexer's state after them.
        self._ended: tuple[str, list[str], list[str]] = ("", [], [])

    async def load(self) -> None:
        """Import pygments and its commonest lexers beside the running loop: they take 150 ms, which would be seen."""
        if self._pygments is None:
            self._pygments = await asyncio.to_thread(_loaded)

    def __call__(self, language: str, before: list[str], lines: list[str]) -> list[Row]:
        """A row for each of `lines`, which go on from `before`: a string over several lines keeps its colour.

        Costs O(`lines`) when `before` is what the last call ended with, as it is for a text that streams.
        """
        lexer = self._lexer(language)
        if lexer is None or any(len(line) > _LONGEST for line in (*before, *lines)):
            return uncolored(language, before, lines)
        rows: list[Row] = []
        if language not in self._stateless:
            try:
                rows = self._rows(self._resumed(language, lexer, before, lines))[: len(lines)]
            except TypeError:
                # A callback of its own that takes no context.
                self._stateless.add(language)
        if language in self._stateless:
            before = before[-_CONTEXT:]
            rows = self._rows(lexer.get_tokens(_text((*before, *lines))))[len(before) : len(before) + len(lines)]
        # Some lexers drop what they do not expect.
        whole = ["".join(text for _, text in row) for row in rows] == lines
        return rows if whole else uncolored(language, before, lines)

    def _resumed(self, language: str, lexer: Any, before: list[str], lines: list[str]) -> Iterable[tuple[Any, str]]:
        """The tokens of `lines`, from the state in which the lexer was after `before`."""
        states = (
            self._ended[2] if self._ended[:2] == (language, before) else self._lexed(lexer, _text(before), ["root"])[1]
        )
        tokens, states = self._lexed(lexer, _text(lines), states)
        self._ended = language, [*before, *lines][-BEFORE:], states
        return tokens

    def _lexed(self, lexer: Any, text: str, states: list[str]) -> tuple[list[tuple[Any, str]], list[str]]:
        """The tokens of `text` and the states after it."""
        if states[-1] == _IN_COMMENT:
            end = text.find("*/") + 2
            if end < 2:
                return [(_COMMENT, text)], states
            tokens, states = self._lexed(lexer, text[end:], states[:-1])
            return [(_COMMENT, text[:end]), *tokens], states
        tokens, after = self._run(lexer, text, states)
        at = text.find("/*", text.rfind("*/") + 1)
        if at >= 0 and lexer.block_comments and not _quoted(tokens, at):
            tokens, after = self._run(lexer, text[:at], states)
            return [*tokens, (_COMMENT, text[at:])], [*after, _IN_COMMENT]
        return tokens, after

    def _run(self, lexer: Any, text: str, states: list[str]) -> tuple[list[tuple[Any, str]], list[str]]:
        resumable = self._pygments.lexer.ExtendedRegexLexer
        context = self._pygments.lexer.LexerContext(text, 0, [*states])
        tokens = [(kind, piece) for _, kind, piece in resumable.get_tokens_unprocessed(lexer, context=context)]
        return tokens, context.stack

    def _rows(self, tokens: Iterable[tuple[Any, str]]) -> list[Row]:
        rows: list[Row] = [[]]
        for kind, text in tokens:
            style = self._style(kind)
            for number, piece in enumerate(text.split("\n")):
                if number:
                    rows.append([])
                if piece and rows[-1] and rows[-1][-1][0] == style:
                    rows[-1][-1] = style, rows[-1][-1][1] + piece
                elif piece:
                    rows[-1].append((style, piece))
        return rows

    def _lexer(self, language: str) -> Any:
        if self._pygments is None or not language:
            return None
        if language not in self._lexers:
            found = self._pygments.lexers.find_lexer_class_by_name if self._known(language) else None
            self._lexers[language] = lexer = found(language)(stripnl=False, ensurenl=False) if found else None
            if lexer and not self._resumes(lexer):
                self._stateless.add(language)
        return self._lexers[language]

    def _resumes(self, lexer: Any) -> bool:
        """Whether it can go on from a stack of states; whether it knows block comments is noted with it."""
        own, known = type(lexer), self._pygments.lexer.ExtendedRegexLexer
        if not issubclass(own, self._pygments.lexer.RegexLexer):
            return False
        if issubclass(own, known) and own.get_tokens_unprocessed is not known.get_tokens_unprocessed:
            # It keeps more than the states.
            return False
        lexer.block_comments = "/*" in "".join(text for kind, text in lexer.get_tokens("/* */") if kind[:1] == _COMMENT)
        return True

    def _known(self, language: str) -> bool:
        return any(language.lower() in lexer[1] for lexer in self._pygments.lexers.get_all_lexers(plugins=False))

    def _style(self, kind: Any) -> str:
        if kind not in self._styles:
            names = [".".join(kind[:count]) for count in range(len(kind), 0, -1)]
            self._styles[kind] = next((_STYLES[name] for name in names if name in _STYLES), "")
        return self._styles[kind]


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _quoted(tokens: Iterable[tuple[Any, str]], at: int) -> bool:
    """Whether the `/*` at `at` begins no comment: it is in a string, or in a comment of another kind."""
    for kind, text in tokens:
        at -= len(text)
        if at < 0:
            return kind[:2] == ("Literal", "String") or (kind[:1] == _COMMENT and not text.startswith("/*"))
    return False


def _loaded() -> Any:
    pygments = import_module("pygments")
    lexers = import_module("pygments.lexers")
    for name in _COMMON:
        # A lexer compiles its expressions when it sees the first text.
        list(lexers.get_lexer_by_name(name).get_tokens("x"))
    return pygments
