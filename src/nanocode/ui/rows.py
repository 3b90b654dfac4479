"""Rows of styled text, as wide as a terminal shows them: wrapped, cut, painted; knows nothing of what they say."""

import re
from collections.abc import Iterable, Sequence

from prompt_toolkit.utils import get_cwidth

# A style is the parameters of an SGR sequence ("1;36"), "" for none; a row is one line of the screen.
Span = tuple[str, str]
Row = list[Span]

BOLD, DIM, ITALIC, UNDERLINE, STRIKE = "1", "2", "3", "4", "9"
RED, GREEN, YELLOW, BLUE, MAGENTA, CYAN = "31", "32", "33", "34", "35", "36"

# What may stand alone at a row's end: blanks, one character of a script without blanks, a word.
_PIECES = re.compile(
    "[ \t]+|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
    "\U0001f300-\U0001faff\U00020000-\U0003fffd][\u0300-\u036f\u200d\ufe0f]*|[^ \t\u1100-\u115f\u2e80-\ua4cf"
    "\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\U0001f300-\U0001faff\U00020000-\U0003fffd]+"
)
# With the marks that turn the direction of text, which can make a command look like another.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_TAB = 4


def width(text: str) -> int:
    """Columns that a terminal needs for `text`."""
    return len(text) if text.isascii() else get_cwidth(text)


def clean(text: str) -> str:
    """Foreign text of one line without what could move the cursor or change colours; tabs become blanks."""
    return _CONTROLS.sub("", text).expandtabs(_TAB)


def join(styles: Iterable[str]) -> str:
    return ";".join(filter(None, styles))


def ansi(row: Sequence[Span], color: bool) -> str:
    """The row as a terminal takes it, without its line end."""
    if not color:
        return "".join(text for _, text in row)
    return "".join(f"\x1b[{style}m{text}\x1b[0m" if style and text else text for style, text in row)


def wrap(row: Sequence[Span], columns: int, first: Span = ("", ""), rest: str = "") -> list[Row]:
    """`row` as rows of at most `columns`, broken at blanks; `first` leads the first, `rest` the others."""
    text = "".join(piece for _, piece in row)
    inside = max(columns - max(width(first[1]), width(rest)), 1)
    rows = [_slice(row, start, end) for start, end in breaks(text, inside)]
    leads = [first, *[("", rest)] * (len(rows) - 1)]
    return [[lead, *each] if lead[1] else each for lead, each in zip(leads, rows, strict=True)]


def breaks(text: str, columns: int) -> list[tuple[int, int]]:
    """Where each row starts and ends; the blanks at a break belong to no row."""
    if width(text) <= columns:
        return [(0, len(text))]
    rows, start, end, used = [], 0, 0, 0
    for piece in _PIECES.finditer(text):
        size, blank = width(piece[0]), piece[0][0] in " \t"
        if used + size <= columns:
            used += size
            end = end if blank and start < piece.start() else piece.end()
            continue
        if blank:
            rows.append((start, end))
            start = end = piece.end()
            used = 0
            continue
        if start < piece.start():
            rows.append((start, end))
        start, used = piece.start(), size
        while used > columns:
            at = start + _fitting(text[start : piece.end()], columns)
            rows.append((start, at))
            start, used = at, width(text[at : piece.end()])
        end = piece.end()
    return [*rows, (start, end)] if start < end or not rows else rows


def _fitting(text: str, columns: int) -> int:
    """How many characters go into `columns`, at least one."""
    used = 0
    for count, character in enumerate(text):
        used += width(character)
        if used > columns:
            return max(count, 1)
    return len(text)


def _slice(row: Sequence[Span], start: int, end: int) -> Row:
    found, at = [], 0
    for style, text in row:
        piece = text[max(start - at, 0) : max(end - at, 0)]
        if piece:
            found.append((style, piece))
        at += len(text)
    return found


def cut(text: str, columns: int) -> str:
    """One line of at most `columns`, with `…` where it was longer."""
    return text if width(text) <= columns else text[: _fitting(text, max(columns - 1, 1))] + "…"


def trim(row: Row, columns: int) -> Row:
    """`row`, or as much of it as goes into `columns`."""
    if sum(width(text) for _, text in row) <= columns:
        return row
    return _slice(row, 0, _fitting("".join(text for _, text in row), columns))
