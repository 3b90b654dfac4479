"""Lines of a file in a form where they can be compared, and the way back to their bytes; knows nothing of edits."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import accumulate, islice

from nanocode.hot.splices import line_end, line_start, line_stop

# More occurrences than this of what is surely there, and all of the file is compared.
_ANCHORS = 1000

Place = tuple[int, int]
Find = Callable[[bytes, bytes, int], int]


def windows(data: bytes, anchor: str, above: int, below: int, find: Find) -> list[Place]:
    """Runs of whole lines around each occurrence of the anchor; all of the data when there are too many."""
    places = list(islice(_found(data, anchor.encode(), find), _ANCHORS + 1)) if anchor else []
    if not anchor or len(places) > _ANCHORS:
        return [(0, len(data))]
    found: list[Place] = []
    for at in places:
        low, high = line_start(data, at), line_stop(data, at)
        for _ in range(above):
            low = line_start(data, low - 1) if low else 0
        for _ in range(below):
            high = line_stop(data, high)
        if found and low < found[-1][1]:
            low = found.pop()[0]
        found.append((low, high))
    return found


def _found(data: bytes, piece: bytes, find: Find) -> Iterator[int]:
    at = find(data, piece, 0)
    while at >= 0:
        yield at
        at = find(data, piece, at + len(piece))


class Window:
    """Lines of the data in a form where they can be compared, and the way back to their bytes."""

    def __init__(self, data: bytes, low: int, high: int, form: Callable[[str], str]) -> None:
        lines = data[low:high].splitlines(keepends=True)
        # Bytes that are not UTF-8 become lone surrogates, which no text of an edit holds.
        self._bodies = [line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") for line in lines]
        shown = [form(body) + "\n" for body in self._bodies]
        if lines and not line_end(lines[-1]):
            shown[-1] = shown[-1][:-1]
        else:
            self._bodies.append("")
        self._text = "".join(shown)
        self._starts = [0, *accumulate(map(len, shown))]
        self._places = [low, *accumulate(map(len, lines), initial=low)][1:]

    def places(self, key: str, cut: str | None = None) -> Iterator[Place]:
        """Where the key stands, and `cut` where a line ends behind it; in order, also overlapping."""
        ended = (each for each in self._all(cut) if self._text[each[1] : each[1] + 1] in ("", "\n")) if cut else ()
        return ((self._place(at), self._place(end)) for at, end in merge(self._all(key), ended))

    def _all(self, key: str) -> Iterator[Place]:
        at = self._text.find(key)
        while at >= 0:
            yield at, at + len(key)
            at = self._text.find(key, at + 1)

    def _place(self, at: int) -> int:
        line = min(bisect_right(self._starts, at), len(self._bodies)) - 1
        before = self._bodies[line][: at - self._starts[line]]
        return self._places[line] + len(before.encode("utf-8", "surrogateescape"))
