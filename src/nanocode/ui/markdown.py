"""Markdown to rows while it streams: each line once, when it is complete; knows nothing of screens or models."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise

from nanocode.ui.inline import SPECIAL, inline
from nanocode.ui.rows import BOLD, CYAN, DIM, ITALIC, UNDERLINE, Row, Span, breaks, clean, width, wrap
from nanocode.ui.tables import is_rule, table

# A line without an end is broken at a blank once it is this long, so that a frame's work does not grow with it.
_LONGEST = 2000
_TABLE_LINES = 300
# So many lines of code are kept to colour the next ones by.
BEFORE = 50

_FENCE = re.compile(r"(?P<indent> {0,12})(?P<mark>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
_HEADING = re.compile(r" {0,3}(?P<level>#{1,6})\s+(?P<text>.*?)(?:\s+#+)?\s*$")
_ITEM = re.compile(r"(?P<indent>\s*)(?P<mark>[-*+]|\d{1,9}[.)])\s+(?P<box>\[[ xX]\]\s+)?(?P<text>.*)$")
_QUOTE = re.compile(r" {0,3}(?P<marks>(?:> ?)+)(?P<text>.*)$")
_BREAK = re.compile(r" {0,3}([-*_])(?:\s*\1){2,}\s*$")

# Code to rows of the same number: the language, lines before for context, the lines.
Colors = Callable[[str, list[str], list[str]], list[Row]]


def uncolored(language: str, before: list[str], lines: list[str]) -> list[Row]:
    return [[("", line)] for line in lines]


class Markdown:
    """Feed it text as it comes. `columns` tells the screen's width now; every row fits it, but code is never broken.

    Rows cost O(their own length); nothing is rendered twice but the unfinished line, by `tail`.
    """

    def __init__(self, columns: Callable[[], int], colors: Colors = uncolored) -> None:
        self._columns, self._colors = columns, colors
        self._unfinished = ""
        self._continues: str | None = None
        self._fence: re.Match[str] | None = None
        self._code: list[str] = []
        self._table: list[str] = []
        self._fresh: list[str] = []

    def feed(self, text: str) -> list[Row]:
        """The rows that `text` completes."""
        *lines, last = (self._unfinished + text).split("\n")
        rows: list[Row] = []
        for line in lines:
            self._unfinished = line
            rows += self._broken()
            rows += self._line(clean(self._unfinished))
        self._unfinished = last
        rows += self._broken()
        return rows + self._settled() + self._colored()

    def _broken(self) -> list[Row]:
        """The rows of a line but for its last `_LONGEST` characters."""
        rows: list[Row] = []
        while len(self._unfinished) > _LONGEST and not self._fence and not self._table:
            rows += self._early()
        return rows

    def tail(self) -> list[Row]:
        """How the unfinished line looks so far; a table that is held back shows as it is written."""
        rows: list[Row] = [[(DIM, line)] for line in self._table]
        if self._unfinished:
            line = clean(self._unfinished[-_LONGEST:])
            rows += [[("", line)]] if self._fence else self._prose(line)
        return rows

    def end(self) -> list[Row]:
        """The rows of what is left; the next `feed` begins a new text."""
        rows = self._line(clean(self._unfinished)) if self._unfinished else []
        rows += self._colored() + self._tabled()
        self._unfinished, self._continues, self._fence, self._code = "", None, None, []
        return rows

    def _line(self, line: str) -> list[Row]:
        if self._fence:
            return self._in_fence(line)
        if self._continues is not None:
            rows = self._prose(line)
            self._continues = None
            return rows
        if line.lstrip().startswith("|") and len(self._table) < _TABLE_LINES:
            self._table.append(line)
            return []
        rows = self._tabled()
        if fence := _FENCE.match(line):
            self._fence, self._code = fence, []
            return [*rows, [(DIM, line.strip())]]
        return rows + self._prose(line)

    def _in_fence(self, line: str) -> list[Row]:
        assert self._fence
        closing = line.strip()
        if closing.startswith(self._fence["mark"]) and not closing.strip(self._fence["mark"][0]):
            rows = self._colored()
            self._fence = None
            return [*rows, [(DIM, closing)]]
        indent = len(self._fence["indent"])
        self._fresh.append(line[indent:] if not line[:indent].strip() else line)
        return []

    def _colored(self) -> list[Row]:
        """The rows of the code lines that came since the last call: a lexer is slow to start and quick to go on."""
        if not self._fresh or not self._fence:
            return []
        language = (self._fence["info"].split() or [""])[0]
        rows = self._colors(language, self._code, self._fresh)
        self._code = [*self._code, *self._fresh][-BEFORE:]
        self._fresh = []
        return rows

    def _tabled(self) -> list[Row]:
        lines, self._table = self._table, []
        if len(lines) > 1 and is_rule(lines[1]):
            return table(lines, self._columns())
        return [row for line in lines for row in self._prose(line)]

    def _prose(self, line: str) -> list[Row]:
        lead = self._continues
        return _prose(line, self._columns()) if lead is None else wrap(inline(line), self._columns(), ("", lead), lead)

    def _settled(self) -> list[Row]:
        """The first rows of a long unfinished line, once nothing that may come can change them: they are plain words.

        What may still change stays small by this, which is what is drawn anew at each frame and suffers when a window
        is made narrower.
        """
        line = self._unfinished
        if len(line) < self._columns() or self._fence or self._table or clean(line) != line or not self._wraps(line):
            return []
        lead = _lead(line) if self._continues is None else self._continues
        item = _ITEM.match(line) if self._continues is None else None
        text = item.start("text") if item else 0
        special = SPECIAL.search(line, text)
        rows = [(text + start, text + end) for start, end in breaks(line[text:], max(self._columns() - width(lead), 1))]
        # A row is as it is by the word that did not fit into it, so the next must be plain as well.
        ends = [
            (end, start)
            for (_, end), (start, next_end) in pairwise(rows[:-2])
            if line[start - 1] == " " and line[:end].strip() and (special is None or next_end < special.start())
        ]
        if not ends:
            return []
        end, start = ends[-1]
        found = self._prose(line[:end])
        self._unfinished, self._continues = line[start:], lead
        return found

    def _wraps(self, line: str) -> bool:
        """Whether it is a line whose rows depend on its words alone."""
        if self._continues is not None:
            return True
        return not (line.lstrip()[:1] in ("|", "") or _HEADING.match(line) or _BREAK.match(line) or _QUOTE.match(line))

    def _early(self) -> list[Row]:
        """The rows of the first part of a line that may never end; the rest goes on as its continuation."""
        at = self._unfinished.rfind(" ", 0, _LONGEST) + 1 or _LONGEST
        line = clean(self._unfinished[:at].rstrip())
        rows = self._prose(line)
        self._unfinished = self._unfinished[at:]
        self._continues = _lead(line) if self._continues is None else self._continues
        return rows


def _prose(line: str, columns: int) -> list[Row]:
    if not line.strip():
        return [[]]
    if heading := _HEADING.match(line):
        style = f"{BOLD};{UNDERLINE}" if len(heading["level"]) == 1 else BOLD
        return wrap(inline(heading["text"], style), columns)
    if _BREAK.match(line):
        return [[(DIM, "─" * min(columns, 40))]]
    if quote := _QUOTE.match(line):
        bars = "│ " * quote["marks"].count(">")
        rows = wrap(inline(quote["text"], ITALIC), max(columns - len(bars), 1))
        return [[(DIM, bars), *row] for row in rows]
    if item := _ITEM.match(line):
        return _item(item, columns)
    return wrap(inline(line), columns, rest=_lead(line))


def _item(item: re.Match[str], columns: int) -> list[Row]:
    mark = item["mark"] if item["mark"][0].isdigit() else "•"
    if item["box"]:
        mark = "☐" if item["box"][1] == " " else "☑"
    lead = f"{item['indent']}{mark} "
    first: Span = (CYAN, lead)
    return wrap(inline(item["text"]), columns, first, " " * width(lead))


def _lead(line: str) -> str:
    """What the rows of a line after its first begin with."""
    if item := _ITEM.match(line):
        return " " * (len(item["indent"]) + width(item["mark"]) + 1)
    return line[: len(line) - len(line.lstrip())]


def whole(text: str, columns: int, colors: Colors = uncolored) -> list[Row]:
    """The rows of a text that is complete."""
    markdown = Markdown(lambda: columns, colors)
    return markdown.feed(text) + markdown.end()


def texts(rows: Iterable[Row]) -> list[str]:
    """The rows without their styles."""
    return ["".join(text for _, text in row) for row in rows]
