"""Spells a pattern's tree for the `regex` module, which decides what no automaton can; knows nothing of lines.

Its deadline is what keeps a search from hanging: it raises TimeoutError where backtracking runs away.
"""

from functools import lru_cache
from typing import Any

from nanocode.hot.charset import NEWLINE, SCALARS, Charset, difference
from nanocode.hot.syntax import At, Atomic, Back, Chars, Choice, Edge, Group, If, Look, Node, Repeat, Sequence

_EDGES: dict[Edge, str] = {
    "line start": "^",
    "line end": "$",
    "text start": r"\A",
    "text end": r"\Z",
    "word edge": r"\b",
    "no word edge": r"(?!\b)",
}
_NEVER = "(?!)"


def compiled(node: Node, *, ascii_only: bool) -> Any:
    """A `regex` pattern; with `ascii_only` it is for ASCII text alone, where sets are small and thus quick."""
    # Here and not at the top: it costs 20 ms, and only a search needs it.
    import regex

    return regex.compile(spelled(node, ascii_only), regex.MULTILINE)


def spelled(node: Node, ascii_only: bool) -> str:
    """The source of `node`, for `regex`, and for `re` too when it is regular; both with MULTILINE."""

    def inner(item: Node) -> str:
        return spelled(item, ascii_only)

    match node:
        case Chars(members):
            return _members(_ascii_part(members) if ascii_only else members)
        case Sequence(items):
            return "".join(map(inner, items))
        case Choice(items):
            return f"(?:{'|'.join(map(inner, items))})"
        case Repeat(item, least, most, manner):
            return f"(?:{inner(item)}){{{least},{'' if most is None else most}}}{manner}"
        case At(edge):
            return _EDGES[edge]
        case Group(item):
            return f"({inner(item)})"
        case Look(item, opening):
            return f"({opening}{inner(item)})"
        case Atomic(item):
            return f"(?>{inner(item)})"
        case Back(number, folded):
            return f"(?i:\\{number})" if folded else f"(?:\\{number})"
        case If(number, yes, no):
            return f"(?({number})(?:{inner(yes)})|(?:{inner(no)}))"


def _ascii_part(members: Charset) -> Charset:
    return tuple((first, min(last, 127)) for first, last in members if first < 128)


_DOT = difference(SCALARS, NEWLINE)


@lru_cache(maxsize=256)
def _members(members: Charset) -> str:
    if not members:
        return _NEVER
    if members == _ascii_part(_DOT):
        return "."
    if len(members) == 1 and members[0][0] == members[0][1]:
        return _char(members[0][0])
    return f"[{''.join(_char(first) + '-' + _char(last) if first < last else _char(first) for first, last in members)}]"


def _char(code: int) -> str:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}"
