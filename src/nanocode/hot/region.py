"""Finds the lines of a file that are most like some text; knows nothing of edits, or of why they are looked for."""

from functools import reduce
from operator import add, or_
from typing import NamedTuple

# Both twins share these figures, and reckon in integers, so that they find the same region.
SAMPLED = 24  # lines of the text that vote for a place
KEPT = 6  # places that are aligned line by line
COMPARED = 256  # bytes of a line that count
HEAVIEST = 64  # weight of a line: its bytes, at most so many
WANDER = 16  # lines by which an alignment may stray from its place
STRAY = 2  # weight that a line between two matched ones costs
WHOLE = 1000  # likeness of equal lines
WORTH = 300  # lines less alike than this have nothing in common
NEAR = 400  # a region less alike than this is none
ONE = 1 << 16  # Dice's coefficient of equal lines, but for rounding
KNUTH = 0x9E3779B1

SPACES = b" \t\n\v\f\r"


class Region(NamedTuple):
    """Lines `first` to `last` of a file, counted from 0; `likeness` 1000 is the same but for spaces."""

    first: int
    last: int
    likeness: int


class _Bits(dict[tuple[int, int], int]):
    """The bit of each pair of neighbouring bytes."""

    def __missing__(self, pair: tuple[int, int]) -> int:
        bit = self[pair] = 1 << (((pair[0] << 8 | pair[1]) * KNUTH & 0xFFFFFFFF) >> 25)
        return bit


_BITS = _Bits()


def nearest(data: bytes, text: bytes) -> Region | None:
    """The region of `data` most like the lines of `text`, or None when nothing is.

    Lines end at LF, CRLF or CR; spaces do not count, nor do more than 256 bytes of a line, nor blank lines. Each
    line is a set of byte pairs, hashed to 128 bits. The heaviest 24 lines of `text` vote for the place of its first
    line: Dice's coefficient of the sets times the weight. The best six places, at least half a text apart, are
    aligned line by line with Levenshtein's distance; the best alignment is the region, the first of equal ones.
    Linear in the data, and in the bytes of the text times those of the places.
    """
    lines = [squeezed(line) for line in data.splitlines()]
    wanted = [squeezed(line) for line in text.splitlines()]
    while wanted and not wanted[-1]:
        wanted.pop()
    wanted = wanted[next((place for place, line in enumerate(wanted) if line), 0) :]
    if not wanted or not lines:
        return None
    search = _Search(lines, wanted)
    found = max(map(search.aligned, search.places()), key=lambda each: each.likeness, default=None)
    return found if found and found.likeness >= NEAR else None


def squeezed(line: bytes) -> bytes:
    """What counts of a line."""
    return line.translate(None, SPACES)[:COMPARED]


def _pairs(line: bytes) -> int:
    return reduce(or_, map(_BITS.__getitem__, set(zip(b"\0" + line, line, strict=False))), 0)


def _dice(one: int, other: int) -> int:
    common = (one & other).bit_count()
    return common * (2 * ONE // (one.bit_count() + other.bit_count())) if common else 0


class _Search:
    """One search; places are those of the text's first line, from before the file's start to its end."""

    def __init__(self, lines: list[bytes], wanted: list[bytes]) -> None:
        self.lines, self.wanted = lines, wanted
        known = {line: _pairs(line) for line in {*lines, *wanted}}
        self.pairs = [known[line] for line in lines]
        self.wanted_pairs = [known[line] for line in wanted]
        self.weights = [min(len(line), HEAVIEST) for line in wanted]
        self.likes: dict[tuple[bytes, bytes], int] = {}

    def places(self) -> list[int]:
        """The places with the most votes, at least half a text apart; of equal ones the first."""
        reach = len(self.wanted) // 2
        votes = self._votes()
        found = []
        for _ in range(KEPT):
            most = max(votes)
            if not most:
                break
            at = votes.index(most)
            found.append(at - len(self.wanted) + 1)
            low, high = max(0, at - reach), min(len(votes), at + reach + 1)
            votes[low:high] = [0] * (high - low)
        return sorted(found)

    def _votes(self) -> list[int]:
        voters = sorted(range(len(self.wanted)), key=lambda each: -self.weights[each])[:SAMPLED]
        votes = [0] * (len(self.lines) + len(self.wanted) - 1)
        distinct = set(self.pairs)
        for voter in voters:
            own, weight = self.wanted_pairs[voter], self.weights[voter]
            worth = {pairs: weight * _dice(own, pairs) for pairs in distinct}
            low = len(self.wanted) - 1 - voter
            high = low + len(self.lines)
            votes[low:high] = map(add, votes[low:high], map(worth.__getitem__, self.pairs))
        return votes

    def aligned(self, place: int) -> Region:
        """The best alignment of the text near `place`: lines in order, some of either side left out."""
        reach = min(max(2, len(self.wanted) // 4), WANDER)
        # row[at] is the best (score, first, last) of the text's lines so far with the file's before `start + at`.
        start = place - reach
        row = [(0, -1, -1)] * (2 * reach + 1)
        for index in range(len(self.wanted)):
            row = self._next_row(row, index, start + index)
        score, first, last = max(row, key=lambda each: each[0])
        return Region(first, last, score // sum(self.weights))

    def _next_row(self, row: list[tuple[int, int, int]], index: int, start: int) -> list[tuple[int, int, int]]:
        """The row after line `index` of the text; its places are one line further in the file."""
        following: list[tuple[int, int, int]] = []
        for at, best in enumerate(row):
            line = start + at
            if like := self._like(index, line):
                best = (best[0] + self.weights[index] * like, line if best[1] < 0 else best[1], line)
            if at + 1 < len(row) and row[at + 1][0] > best[0]:
                best = row[at + 1]
            if at and (strayed := self._strayed(following[-1], line))[0] > best[0]:
                best = strayed
            following.append(best)
        return following

    def _strayed(self, reached: tuple[int, int, int], line: int) -> tuple[int, int, int]:
        score, first, last = reached
        costs = first >= 0 and line < len(self.lines) and self.lines[line]
        return (score - WHOLE * STRAY, first, last) if costs else reached

    def _like(self, index: int, line: int) -> int:
        if not self.weights[index] or not 0 <= line < len(self.lines):
            return 0
        own, other = self.wanted[index], self.lines[line]
        if own == other:
            return WHOLE
        if 4 * _dice(self.wanted_pairs[index], self.pairs[line]) < ONE:
            return 0
        if (own, other) not in self.likes:
            self.likes[own, other] = likeness(own, other)
        return self.likes[own, other]


def likeness(one: bytes, other: bytes) -> int:
    """1000 for equal bytes, down to WORTH; below that 0."""
    longest = max(len(one), len(other))
    if not longest or WHOLE * min(len(one), len(other)) < WORTH * longest:
        return 0
    like = WHOLE - WHOLE * distance(one, other) // longest
    return like if like >= WORTH else 0


def distance(one: bytes, other: bytes) -> int:
    """Levenshtein's distance, all of a column at once in the bits of an integer (Myers 1999, Hyyrö 2003)."""
    if not one:
        return len(other)
    where: dict[int, int] = {}
    for place, byte in enumerate(one):
        where[byte] = where.get(byte, 0) | 1 << place
    mask = (1 << len(one)) - 1
    top = 1 << (len(one) - 1)
    up, down, count = mask, 0, len(one)
    for byte in other:
        here = where.get(byte, 0)
        across = (((here & up) + up) ^ up) | here
        here |= down
        more, less = down | (~(across | up) & mask), up & across
        count += bool(more & top) - bool(less & top)
        more = more << 1 | 1
        up, down = (less << 1 | ~(here | more)) & mask, more & here
    return count
