"""Finds the one place in a file where each edit belongs, or says why there is none; knows nothing of files on disk."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from nanocode.errors import EditError
from nanocode.hot.hint import Nearest, hint
from nanocode.hot.region import nearest as nearest
from nanocode.hot.splices import Splice, changes, line_end, line_start, line_stop, with_lf
from nanocode.hot.splices import apply as apply
from nanocode.hot.splices import diff as diff
from nanocode.hot.splices import lines_before as lines_before
from nanocode.hot.window import Find, Window, windows

EXACT, LINE_ENDS, LOOKS = "exact", "line ends", "trailing whitespace and the looks of quotes, dashes and spaces"

BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# So many matches are listed by line; nobody counts on.
_LISTED = 100
_HINTED = 3

# What a model types for what stands in the file, and the other way round.
_LOOKS = {
    "'": "\u2018\u2019\u201a\u201b\u2032",
    '"': "\u201c\u201d\u201e\u201f\u2033",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d",
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
}
_ALIKE = {ord(look): plain for plain, looks in _LOOKS.items() for look in looks}
_TRAILING = " \t\v\f"
_SOFT = re.compile(f"[{_TRAILING}'\"-]+")

Place = tuple[int, int]


def find(data: bytes, piece: bytes, start: int) -> int:
    """`bytes.find`; `start` is not negative."""
    return data.find(piece, start)


def plan(data: bytes, edits: Sequence[tuple[str, str]], nearest: Nearest = nearest, find: Find = find) -> list[Splice]:
    """One splice for each (oldText, newText), in the order of their places, all found in `data` as it is.

    An old text is looked for as it is; then with any of LF, CRLF and CR for a line end; then also without the
    whitespace at line ends and with any look of quotes, dashes and spaces. The first level that finds it decides:
    there it must occur once, overlapping occurrences counted, and a CRLF is never torn apart.

    A new text goes in as it is where the old one was found exactly and names line ends. Else its line ends become
    those of the replaced lines, and lines that old and new text share keep their bytes. A BOM stays.

    Raises EditError for all edits that fail, with the `reason` of the first: "empty", "same", "encoding" (UTF-16,
    or bytes that are not UTF-8 in the old text's place), "not unique", "overlap", "already applied", one of
    "indentation", "tabs", "spaces", "quotes", "line ends", "text" for what differs in the nearest region, or
    "absent". Linear in the data for each edit that is found. The twin brings a `nearest` and a `find` of its own.
    """
    if data.startswith(_UTF16) or _looks_utf16(data[:4096]):
        raise EditError("the file is UTF-16, which edit does not change; convert it to UTF-8 first", "encoding")
    splices: list[Splice] = []
    failures: list[EditError] = []
    for number, (old, new) in enumerate(edits):
        name = "`oldText`" if len(edits) == 1 else f"`edits[{number}].oldText`"
        try:
            splices.append(_splice(data, *_without_bom(data, old, new), name, find))
        except EditError as error:
            failures.append(error)
    if failures:
        raise _all_of(data, failures, nearest)
    _refuse_overlaps(data, splices)
    return sorted(splices)


class _NotFound(EditError):
    def __init__(self, name: str, old: bytes, new: bytes) -> None:
        super().__init__(f"{name} is not in the file", "absent")
        self.name, self.old, self.new = name, old, new


def _all_of(data: bytes, failures: list[EditError], nearest: Nearest) -> EditError:
    """One error with the words of all; the first few that were not found get a hint, which costs a search each."""
    missing = [each for each in failures if isinstance(each, _NotFound)][:_HINTED]
    hinted = {id(each): hint(data, each.name, each.old, each.new, nearest) for each in missing}
    named = [hinted.get(id(each), each) for each in failures]
    return EditError("\n".join(map(str, named)), named[0].reason)


def _looks_utf16(start: bytes) -> bool:
    """Whether a file without a BOM has a NUL in nearly every second byte and nowhere else, as Latin text has there."""
    halves = start[::2].count(0), start[1::2].count(0)
    return min(halves) == 0 and max(halves) * 20 > len(start) * 9 and len(start) > 3


def _without_bom(data: bytes, old: str, new: str) -> tuple[str, str]:
    if old.startswith("\ufeff") or data.startswith(BOM):
        return old.removeprefix("\ufeff"), new.removeprefix("\ufeff")
    return old, new


def _splice(data: bytes, old: str, new: str, name: str, find: Find) -> Splice:
    if not old:
        raise EditError(f"{name} is empty; give the text to replace, or use write for a whole file", "empty")
    if old == new:
        raise EditError(f"{name} and its newText are the same; there is nothing to change", "same")
    place = _found(data, old, name, find)
    if place is None:
        raise _NotFound(name, old.encode(), new.encode())
    level, start, end = place
    if level == EXACT:
        return Splice(start, end, _ended(data, start, old, new), level)
    return Splice(start, end, _fitted(data, start, end, old, new), level)


def _found(data: bytes, old: str, name: str, find: Find) -> tuple[str, int, int] | None:
    for level, look in ((EXACT, _exactly), (LINE_ENDS, _with_any_line_end), (LOOKS, _with_any_look)):
        places = []
        for place in look(data, old, find):
            places.append(place)
            if len(places) > _LISTED:
                break
        if len(places) > 1:
            raise _not_unique(data, places, level, name)
        # An exact match may begin or end within a CRLF; the next level takes such a line end whole.
        if places and not any(data[at - 1 : at + 1] == b"\r\n" for at in places[0]):
            return level, *places[0]
    return None


def _not_unique(data: bytes, places: list[Place], level: str, name: str) -> EditError:
    lines: list[int] = []
    counted, number = 0, 1
    for start, _ in places[:_LISTED]:
        at = line_start(data, start)
        number += lines_before(data, counted, at) if at > counted else 0
        counted = max(counted, at)
        lines.append(number)
    more = len(places) > _LISTED
    times = f"more than {_LISTED}" if more else str(len(places))
    how = "" if level == EXACT else f" when {level} are ignored"
    listed = ", ".join(map(str, lines)) + ", …" * more
    return EditError(
        f"{name} occurs {times} times{how} (lines {listed}); add surrounding lines to make it unique", "not unique"
    )


def _exactly(data: bytes, old: str, find: Find) -> Iterator[Place]:
    needle = old.encode()
    at = find(data, needle, 0)
    while at >= 0:
        yield at, at + len(needle)
        at = find(data, needle, at + 1)


def _with_any_line_end(data: bytes, old: str, find: Find) -> Iterator[Place]:
    lines = _split(old)
    if len(lines) > 1:
        anchor = max(range(len(lines)), key=lambda each: len(lines[each]))
        for low, high in windows(data, lines[anchor], anchor, len(lines) - 1 - anchor, find):
            yield from Window(data, low, high, str).places("\n".join(lines))


def _with_any_look(data: bytes, old: str, find: Find) -> Iterator[Place]:
    *lines, last = _split(old)
    ended, tail = [*map(_plain, lines), _plain(last)], last.translate(_ALIKE)
    pieces = [(len(piece), at, piece) for at, line in enumerate(ended) for piece in _SOFT.split(line)]
    size, anchor, piece = max(pieces, key=lambda each: each[0])
    if not size and not any(ended):
        return
    # Trailing whitespace of the last line is one only where the line ends: else `x ` would be found in `xyz`.
    whole = "\n".join([*ended[:-1], tail])
    cut = "\n".join(ended) if tail != ended[-1] else None
    for low, high in windows(data, piece, anchor, len(lines) - anchor, find):
        yield from Window(data, low, high, _plain).places(whole, cut)


def _split(text: str) -> list[str]:
    return with_lf(text.encode()).decode().split("\n")


def _plain(line: str) -> str:
    """The line with one look for all quotes, dashes and spaces, without its trailing whitespace."""
    return line.translate(_ALIKE).rstrip(_TRAILING)


def _ended(data: bytes, start: int, old: str, new: str) -> bytes:
    """The new text of an exact match: one that adds the first line ends there takes those of its line."""
    text = new.encode()
    if "\n" in old or "\r" in old or "\r" in new or "\n" not in new:
        return text
    return text.replace(b"\n", _line_end_near(data, start))


def _line_end_near(data: bytes, place: int) -> bytes:
    """The line end of the line at `place`, of the line before it where it is the last, LF in a file of one line."""
    stop = line_stop(data, place)
    end = line_end(data[max(place, stop - 2) : stop])
    start = line_start(data, place)
    return end or line_end(data[max(0, start - 2) : start]) or b"\n"


def _fitted(data: bytes, start: int, end: int, old: str, new: str) -> bytes:
    """The new text of a loose match: the lines that it shares with the old text keep the file's bytes and ends."""
    have = data[start:end].splitlines(keepends=True)
    was, will = (with_lf(text.encode()).splitlines(keepends=True) for text in (old, new))
    have += [b""] * (len(was) - len(have))
    ends = [line_end(line) for line in have]
    ends = [own or _line_end_near(data, start) for own in ends]
    pieces: list[bytes] = []
    place = 0
    for i, j, k, m in changes(was, will):
        pieces += have[place:i]
        for offset, line in enumerate(will[k:m]):
            like = min(i + offset, max(j - 1, i - 1, 0), len(ends) - 1)
            pieces.append(line[:-1] + ends[like] if line.endswith(b"\n") else line)
        place = j
    return b"".join([*pieces, *have[place:]])


def _refuse_overlaps(data: bytes, splices: list[Splice]) -> None:
    placed = sorted(enumerate(splices), key=lambda each: each[1])
    for (one, first), (other, second) in pairwise(placed):
        if second.start < first.end:
            names = " and ".join(f"`edits[{number}]`" for number in sorted((one, other)))
            lines = " and ".join(_lines(data, splices[number]) for number in sorted((one, other)))
            raise EditError(f"{names} overlap (lines {lines}); make one edit of them", "overlap")


def _lines(data: bytes, splice: Splice) -> str:
    first = 1 + lines_before(data, 0, line_start(data, splice.start))
    last = 1 + lines_before(data, 0, line_start(data, splice.end - 1))
    return str(first) if first == last else f"{first}-{last}"
