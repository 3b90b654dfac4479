"""Picks the matching lines of one text, block by block, and the lines around them; knows nothing of files."""

import re
from collections.abc import Iterable, Iterator

from nanocode.hot.automaton import Stopped
from nanocode.hot.query import Query

# How much of a line is shown, and how much of that before the match.
SHOWN = 500
BEFORE = 100
# The regex engine sees no more at once, so that it never holds up a stop for long.
_PIECE = 1 << 20
# A text with a longer line is searched line by line: there one step of that engine may take seconds.
_LONG_LINE = 1 << 16

_INVALID = re.compile("[\ud800-\udfff]")
# Line number, text, whether it matches: what `search.Line` is made of.
Shown = tuple[int, str, bool]


def shown(line: str, start: int, cut_before: bool = False, cut_after: bool = False) -> str:
    """What is shown of a line whose match begins at `start`; each byte that was no UTF-8 as U+FFFD.

    Of a longer line, `SHOWN` characters on either side of the match are enough: `cut_before` and `cut_after` tell that
    there were more.
    """
    if len(line) > SHOWN or cut_before or cut_after:
        first = max(0, min(start - BEFORE, len(line) - SHOWN))
        last = first + SHOWN
        head = "…" if first or cut_before else ""
        line = head + line[first:last] + ("…" if last < len(line) or cut_after else "")
    return line if line.isascii() else _INVALID.sub("\ufffd", line)


def text_of(data: bytes) -> str:
    """The lines of `data` without the end of the last one, and LF alone between them."""
    text = data.decode("utf-8", "surrogateescape")
    text = text.replace("\r\n", "\n") if "\r" in text else text
    return text.removesuffix("\n")


def around(
    blocks: Iterable[bytes], hits: list[Shown], context: int, end: int | None, stop: bytearray | None
) -> list[Shown]:
    """The hits with `context` lines on either side of each, none from line `end` on; `blocks` hold whole lines.

    Once `stop` is set, it is the hits alone.
    """
    own = {hit[0]: hit for hit in hits}
    wanted = {near for number in own for near in range(number - context, number + context + 1)}
    last = min(max(wanted), (end or max(wanted) + 1) - 1)
    found: list[Shown] = []
    number = 1
    for data in blocks:
        if stop and stop[0]:
            return hits
        if number > last:
            break
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if not wanted.isdisjoint(range(number, number + lines)):
            for at, line in enumerate(text_of(data).split("\n"), number):
                if at in wanted and at <= last:
                    found.append(own.get(at) or (at, shown(line, 0), False))
        number += lines
    return found


class Scan:
    """The search of one text. `room` is how many matches it may give, None without a bound.

    `over` is the number of the first line of the one match more that there was, 0 when there was none.
    """

    def __init__(self, query: Query, room: int | None, keep: bool, stop: bytearray | None) -> None:
        self.hits: list[Shown] = []
        self.count = 0
        self.over = 0
        self.stopped = False
        self._query = query
        self._room = room
        self._keep = keep
        self._stop = stop
        self._number = 1
        self._needles = [literal.text for literal in query.needles.required]
        self._folded = any(literal.folded for literal in query.needles.required)

    def block(self, data: bytes) -> None:
        """Take the next lines; the end of the last one may be missing. Raise TimeoutError that names the line."""
        if self._halted():
            return
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        if self._may_match(data):
            self._text(data)
        self._number += lines

    def _may_match(self, data: bytes) -> bool:
        if not self._needles:
            return True
        data = data.lower() if self._folded else data
        return any(needle in data for needle in self._needles)

    def _text(self, data: bytes) -> None:
        # A match over lines may take in the last line's end, and so needs to see it.
        over_lines = self._query.multiline and data.endswith(b"\n")
        text = text_of(data) + ("\n" if over_lines else "")
        number, at = self._number, 0
        for first, last, start in self._over_lines(text) if self._query.multiline else self._by_line(text):
            number += text.count("\n", at, first)
            at = first
            if self._room is not None and self.count >= self._room:
                self.over = number
                return
            self.count += 1
            if self._keep:
                for offset, line in enumerate(text[first:last].split("\n")):
                    self.hits.append((number + offset, shown(line, 0 if offset else start - first), True))
            elif self._room == self.count:
                return

    def _over_lines(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Start and end of each block of lines that matches lie in, and where the first of these starts."""
        first = last = start = -1
        try:
            for begin, end in self._query.spans(text):
                if begin == len(text) and text.endswith("\n"):
                    break
                if begin > last:
                    if last >= 0:
                        yield first, last, start
                    first, start = text.rfind("\n", 0, begin) + 1, begin
                last = text.find("\n", max(end - 1, begin))
                last = len(text) if last < 0 else last
        except TimeoutError:
            number = text.count("\n", 0, max(last, 0)) + 1
            raise TimeoutError(f"the pattern took too long after line {number}") from None
        if last >= 0:
            yield first, last, start

    def _by_line(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Start, end and leftmost match of every line that matches."""
        needle = self._needles[0].decode() if len(self._needles) == 1 and not self._folded else ""
        at = 0
        while at <= len(text) and not self._halted():
            end = len(text) if len(text) - at <= _PIECE else text.find("\n", at + _PIECE)
            piece = text[at:] if end < 0 else text[at:end]
            whole = not needle and piece.isascii() and not _has_long_line(piece)
            for first, last, start in self._quickly(piece) if whole else self._slowly(piece, 0, needle):
                yield at + first, at + last, at + start
            at += len(piece) + 1

    def _halted(self) -> bool:
        self.stopped = bool(self._stop and self._stop[0])
        return self.stopped

    def _quickly(self, piece: str) -> Iterator[tuple[int, int, int]]:
        """The matching lines of an ASCII text, by one pass of `regex`, line by line once that takes too long."""
        at = 0
        while at <= len(piece):
            try:
                found = self._query.in_text(piece, at)
            except TimeoutError:
                yield from self._slowly(piece, at, "")
                return
            if not found:
                return
            start = found[0]
            first = piece.rfind("\n", 0, start) + 1
            last = piece.find("\n", start)
            last = len(piece) if last < 0 else last
            yield first, last, start
            at = last + 1

    def _slowly(self, piece: str, at: int, needle: str) -> Iterator[tuple[int, int, int]]:
        """The matching lines from `at` on, asking for each line, or for each that has `needle`."""
        while at <= len(piece) and not self._halted():
            if needle:
                found = piece.find(needle, at)
                if found < 0:
                    return
                at = piece.rfind("\n", at, found) + 1 or at
            last = piece.find("\n", at)
            last = len(piece) if last < 0 else last
            try:
                start = self._query.in_line(piece[at:last], self._stop)
            except Stopped:
                self.stopped = True
                return
            except TimeoutError:
                number = self._number + piece.count("\n", 0, at)
                raise TimeoutError(f"the pattern took too long in line {number}") from None
            if start >= 0:
                yield at, last, at + start
            at = last + 1


def _has_long_line(text: str) -> bool:
    """Whether some line is longer than `_LONG_LINE`."""
    at = 0
    while len(text) - at > _LONG_LINE:
        end = text.rfind("\n", at, at + _LONG_LINE + 1)
        if end < 0:
            return True
        at = end + 1
    return False
