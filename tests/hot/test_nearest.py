"""The region nearest to a text: both twins against a reading of the contract that is as slow as it is plain."""

import re
from functools import cache, lru_cache
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

HOT = "edits"

words = st.sampled_from(
    ["return", "alpha", "beta(x)", "}", "", "self.name = name", "alpha beta", "\t", "é", "x" * 70, "end"]
)
texts = st.lists(st.lists(words, max_size=4).map(" ".join), max_size=14)
ends = st.sampled_from(["\n", "\r\n", "\r"])


def nearest_region(data: bytes, text: bytes) -> tuple[int, int, int] | None:
    lines = [squeezed(line) for line in data.splitlines()]
    wanted = [squeezed(line) for line in text.splitlines()]
    while wanted and not wanted[-1]:
        del wanted[-1]
    while wanted and not wanted[0]:
        del wanted[0]
    if not lines or not wanted:
        return None
    total = sum(min(len(line), 64) for line in wanted)
    regions = [aligned(lines, wanted, place) for place in best_places(lines, wanted)]
    likenesses = [(score // total, first, last) for score, first, last in regions]
    best = max((likeness for likeness, _, _ in likenesses), default=0)
    return next(((first, last, like) for like, first, last in likenesses if like == best >= 400), None)


def squeezed(line: bytes) -> bytes:
    return re.sub(rb"[ \t-\r]", b"", line)[:256]


@lru_cache(maxsize=1 << 14)
def dice(one: bytes, other: bytes) -> int:
    def pairs(line: bytes) -> set[int]:
        joined = b"\0" + line
        return {(joined[at] * 256 + joined[at + 1]) * 0x9E3779B1 % (1 << 32) // (1 << 25) for at in range(len(line))}

    a, b = pairs(one), pairs(other)
    return len(a & b) * (2**17 // (len(a) + len(b))) if a & b else 0


def best_places(lines: list[bytes], wanted: list[bytes]) -> list[int]:
    voters = sorted(range(len(wanted)), key=lambda at: (-min(len(wanted[at]), 64), at))[:24]
    votes = {
        place: sum(
            min(len(wanted[at]), 64) * dice(wanted[at], lines[place + at])
            for at in voters
            if 0 <= place + at < len(lines)
        )
        for place in range(1 - len(wanted), len(lines))
    }
    found = []
    while len(found) < 6 and max(votes.values(), default=0):
        place = max(votes, key=lambda each: (votes[each], -each))
        found.append(place)
        votes = {each: count for each, count in votes.items() if abs(each - place) > len(wanted) // 2}
    return sorted(found)


def aligned(lines: list[bytes], wanted: list[bytes], place: int) -> tuple[int, int, int]:
    reach = min(max(2, len(wanted) // 4), 16)

    @cache
    def best(done: int, at: int) -> tuple[int, int, int]:
        """After `done` lines of the text, within `at` of where they would end."""
        if done == 0:
            return 0, -1, -1
        score, first, last = best(done - 1, at)
        line = place - reach + done - 1 + at
        inside = 0 <= line < len(lines)
        like = likeness(wanted[done - 1], lines[line]) if inside else 0
        ways = [(score + min(len(wanted[done - 1]), 64) * like, line if first < 0 else first, line)]
        if not like:
            ways = [(score, first, last)]
        if at < 2 * reach:
            ways.append(best(done - 1, at + 1))
        if at:
            score, first, last = best(done, at - 1)
            ways.append((score - (2000 if first >= 0 and inside and lines[line] else 0), first, last))
        return max(ways, key=lambda way: way[0])

    return max((best(len(wanted), at) for at in range(2 * reach + 1)), key=lambda way: way[0])


@lru_cache(maxsize=1 << 14)
def likeness(one: bytes, other: bytes) -> int:
    if not one or not other or (one != other and 4 * dice(one, other) < 1 << 16):
        return 0
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row, above = [i], row
        for j, b in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (a != b)))
    like = 1000 - 1000 * row[-1] // max(len(one), len(other))
    return like if like >= 300 else 0


@settings(max_examples=200)
@given(texts, texts, ends, st.data())
def test_the_nearest_region_is_that_of_the_contract(
    twin: ModuleType, lines: list[str], text: list[str], end: str, draw: st.DataObject
) -> None:
    if lines and draw.draw(st.booleans()):
        start = draw.draw(st.integers(0, len(lines) - 1))
        text = lines[start : start + 6] + text[:2]
    data, wanted = end.join(lines).encode(), "\n".join(text).encode()
    assert twin.nearest(data, wanted) == nearest_region(data, wanted)


@settings(max_examples=200)
@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 300), st.binary(max_size=4))
def test_the_nearest_region_of_any_bytes(twin: ModuleType, data: bytes, text: bytes, at: int, put: bytes) -> None:
    assert twin.nearest(data, text) == nearest_region(data, text)
    changed = data[:at] + put + data[at + 2 :]
    assert twin.nearest(data, changed) == nearest_region(data, changed)


def test_a_changed_block_is_found_where_it_stands(twin: ModuleType) -> None:
    lines = [f"    value_{each} = compute({each * 37 % 101}, {each % 7})  # {each * 7919}" for each in range(3000)]
    block = [line.replace("compute", "reckon").strip() for line in lines[2000:2020]]
    del block[7]
    block.insert(12, "something_new = 1")
    found = twin.nearest("\n".join(lines).encode(), "\n".join(block).encode())
    assert (found.first, found.last) == (2000, 2019)
    assert 700 < found.likeness < 1000


def test_a_last_line_that_ends_at_cr_ends_there(twin: ModuleType) -> None:
    assert twin.nearest(b"alpha\nbeta\r", b"x\nbeta\r") == nearest_region(b"alpha\nbeta\r", b"x\nbeta\r")
    assert twin.nearest(b"beta\r", b"beta") == (0, 0, 1000)


def test_long_lines_and_long_texts_are_bounded(twin: ModuleType) -> None:
    data = b"\n".join([b"x" * 100_000, b"a" * 255 + b"b" * 1000, b"", b"c"])
    assert twin.nearest(data, b"a" * 255 + b"b" * 5) == (1, 1, 1000)
    many = b"".join(b"line number %d\n" % number for number in range(400))
    found = twin.nearest(many, many.replace(b"number 2", b"nombre 2"))
    assert (found.first, found.last) == (0, 399)
