"""Replacements at known places of some bytes, and the diff they make; knows nothing of how the places were found."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

CONTEXT = 3
# Beyond this many pairs of lines one replaced run is shown whole: comparing each with each is quadratic.
_COMPARED = 1 << 20
_LINE_SHOWN = 600

Change = tuple[int, int, int, int]
Count = Callable[[bytes, int, int], int]


class Splice(NamedTuple):
    """`data[start:end]` becomes `new`; `level` says how the place was found, "exact" or what was ignored."""

    start: int
    end: int
    new: bytes
    level: str


def apply(data: bytes, splices: Sequence[Splice]) -> bytes:
    """The bytes with every splice done. `splices` are in order and do not overlap, as `plan` gives them."""
    pieces = []
    place = 0
    for splice in splices:
        pieces += [data[place : splice.start], splice.new]
        place = splice.end
    return b"".join([*pieces, data[place:]])


def with_lf(data: bytes) -> bytes:
    """The data with LF for every line end."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def lines_before(data: bytes, start: int, end: int) -> int:
    """How many lines end in `data[start:end]`; neither place may lie within a CRLF."""
    count = data.count(b"\n", start, end)
    if data.find(b"\r", start, end) >= 0:
        count += data.count(b"\r", start, end) - data.count(b"\r\n", start, end)
    return count


def line_start(data: bytes, place: int) -> int:
    """Where the line that holds `place` begins; a place within a CRLF belongs to the line that it ends."""
    if data[place - 1 : place + 1] == b"\r\n":
        place -= 1
    lf = data.rfind(b"\n", 0, place)
    return max(lf, data.rfind(b"\r", lf + 1, place)) + 1


def line_stop(data: bytes, place: int) -> int:
    """Where the line that holds `place` stops, behind its line end; the end of the data when it has none."""
    lf = data.find(b"\n", place)
    cr = data.find(b"\r", place, len(data) if lf < 0 else lf)
    if cr >= 0 and cr + 1 != lf:
        return cr + 1
    return lf + 1 if lf >= 0 else len(data)


def line_end(line: bytes) -> bytes:
    """The CRLF, LF or CR at the end of a line, or nothing."""
    return b"\r\n" if line.endswith(b"\r\n") else line[-1:] if line.endswith((b"\n", b"\r")) else b""


def changes(before: Sequence[object], after: Sequence[object]) -> list[Change]:
    """Runs `(i, j, k, l)` in order where `before[i:j]` became `after[k:l]`; all between them is equal."""
    low, most = 0, min(len(before), len(after))
    while low < most and before[low] == after[low]:
        low += 1
    tail = 0
    while tail < most - low and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[low : len(before) - tail], after[low : len(after) - tail]
    if not old or not new or len(old) * len(new) > _COMPARED:
        return [(low, low + len(old), low, low + len(new))] if old or new else []
    from difflib import SequenceMatcher

    found = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(low + i, low + j, low + k, low + m) for tag, i, j, k, m in found if tag != "equal"]


def diff(data: bytes, splices: Sequence[Splice], name: str, lines_before: Count = lines_before) -> str:
    """The unified diff of `apply(data, splices)`, three lines of context, from the splices alone.

    Lines end at LF, CRLF or CR. Text is UTF-8 with replacement; line ends are not shown, except as `␍` or `␍␊`
    in a run that changes them. Lines above 600 bytes are cut around the change. "" when nothing changes. Linear
    in the data for the line numbers, which the twin counts itself; in what is near the splices for the rest.
    """
    rows: list[str] = []
    counted = number = shift = 0
    for low, high, inside in _blocks(data, splices):
        number += lines_before(data, counted, low)
        counted = low
        before = data[low:high].splitlines(keepends=True)
        moved = [each._replace(start=each.start - low, end=each.end - low) for each in inside]
        after = apply(data[low:high], moved).splitlines(keepends=True)
        for run in _grouped(changes(before, after)):
            rows += _hunk(before, after, run, number, shift)
        shift += len(after) - len(before)
    return "\n".join([f"--- {name}", f"+++ {name}", *rows]) if rows else ""


def _blocks(data: bytes, splices: Sequence[Splice]) -> Iterator[tuple[int, int, list[Splice]]]:
    """Neighbourhoods of whole lines that hold all that a hunk shows, each with its splices."""
    low = high = 0
    inside: list[Splice] = []
    for splice in splices:
        first, last = _around(data, splice)
        if inside and first > high:
            yield low, high, inside
            inside = []
        low = low if inside else first
        high = max(high, last)
        inside.append(splice)
    if inside:
        yield low, high, inside


def _around(data: bytes, splice: Splice) -> tuple[int, int]:
    low, high = line_start(data, splice.start), line_stop(data, splice.end)
    # One line more on each side: new text may join its neighbours, or make a CRLF of a CR before it.
    for _ in range(CONTEXT + 1):
        low = line_start(data, low - 1) if low else 0
        high = line_stop(data, high)
    return low, high


def _grouped(found: Sequence[Change]) -> Iterator[list[Change]]:
    """Changes near enough to share a hunk."""
    group: list[Change] = []
    for change in found:
        if group and change[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _hunk(before: list[bytes], after: list[bytes], run: list[Change], number: int, shift: int) -> Iterator[str]:
    first, last = max(0, run[0][0] - CONTEXT), min(len(before), run[-1][1] + CONTEXT)
    start = run[0][2] - (run[0][0] - first)
    stop = run[-1][3] + (last - run[-1][1])
    yield f"@@ -{_range(number + first, last - first)} +{_range(number + shift + start, stop - start)} @@"
    place = first
    for i, j, k, m in run:
        for line in before[place:i]:
            yield from _row(" ", line, 0)
        ends = {line_end(line) for line in before[i:j]} != {line_end(line) for line in after[k:m]} and i < j and k < m
        at = _apart(before[i], after[k]) if i < j and k < m else 0
        for line in before[i:j]:
            yield from _row("-", line, at, ends)
        for line in after[k:m]:
            yield from _row("+", line, at, ends)
        place = j
    for line in before[place:last]:
        yield from _row(" ", line, 0)


def _range(first: int, count: int) -> str:
    # An empty range names the line before it (POSIX diff).
    return str(first + 1) if count == 1 else f"{first + (count > 0)},{count}"


def _apart(one: bytes, other: bytes) -> int:
    """Where two lines begin to differ."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)


def _row(mark: str, line: bytes, at: int, show_end: bool = False) -> Iterator[str]:
    end = line_end(line)
    text = line[: len(line) - len(end)]
    if len(text) > _LINE_SHOWN:
        low = max(0, at - _LINE_SHOWN // 3)
        cut = text[low : low + _LINE_SHOWN]
        text = b"\xe2\x80\xa6" * (low > 0) + cut + b"\xe2\x80\xa6" * (low + len(cut) < len(text))
    shown = {b"\r": "␍", b"\r\n": "␍␊"}.get(end, "") if show_end else ""
    yield f"{mark}{text.decode('utf-8', 'replace')}{shown}"
    if not end:
        yield "\\ No newline at end of file"
