"""Sets of characters as sorted ranges, and the Unicode properties that patterns name; knows nothing of syntax.

A set is a tuple of (first, last) pairs, sorted, disjoint and not adjacent, of scalar values: surrogates are in none, so
that no set holds what stands for an invalid byte. `.ci/unicode_table.py` writes the properties.
"""

import os
import zlib
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate

Charset = tuple[tuple[int, int], ...]

SCALARS: Charset = ((0, 0xD7FF), (0xE000, 0x10FFFF))
NEWLINE: Charset = ((10, 10),)
# These two have case partners outside ASCII: the Kelvin sign and the long s.
_ODD_FOLDS = {0x4B: 0x212A, 0x6B: 0x212A, 0x53: 0x17F, 0x73: 0x17F}
_ASCII = {
    "alnum": "09AZaz",
    "alpha": "AZaz",
    "ascii": "\x00\x7f",
    "blank": "\t\t  ",
    "cntrl": "\x00\x1f\x7f\x7f",
    "digit": "09",
    "graph": "!~",
    "lower": "az",
    "print": " ~",
    "punct": "!/:@[`{~",
    "space": "\t\r  ",
    "upper": "AZ",
    "word": "09AZ__az",
    "xdigit": "09AFaf",
}


def union(parts: Iterable[tuple[int, int]]) -> Charset:
    """The set of all ranges in `parts`, in any order, overlapping at will; surrogates are dropped."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    if any(first <= 0xDFFF and last >= 0xD800 for first, last in merged):
        return difference(tuple(merged), ((0xD800, 0xDFFF),))
    return tuple(merged)


def difference(one: Charset, other: Charset) -> Charset:
    """What is in `one` and not in `other`."""
    kept = []
    for first, last in one:
        for low, high in other[max(bisect_right(other, (first, 0)) - 1, 0) :]:
            if low > last:
                break
            if high >= first:
                if low > first:
                    kept.append((first, low - 1))
                first = high + 1
        if first <= last:
            kept.append((first, last))
    return tuple(kept)


def complement(one: Charset) -> Charset:
    return difference(SCALARS, one)


def posix(name: str) -> Charset | None:
    """The ASCII class of `[:name:]`, None when there is none of that name."""
    ends = _ASCII.get(name)
    return tuple(zip(map(ord, ends[::2]), map(ord, ends[1::2]), strict=True)) if ends else None


def contains(one: Charset, code: int) -> bool:
    at = bisect_right(one, (code, 0x110000)) - 1
    return at >= 0 and one[at][1] >= code


@lru_cache(maxsize=64)
def unicode(name: str) -> Charset | None:
    """The characters with a property: a category, a script or a binary property, by any of its names.

    Case, blanks, `-` and `_` do not count, nor does what stands before `=` or `:`; None when there is none of that
    name.
    """
    plain = name.lower().replace("=", ":").rpartition(":")[2]
    for char in " -_":
        plain = plain.replace(char, "")
    if plain in ("any", "assigned", "ascii"):
        unassigned = _property("cn") or ()
        return {"any": SCALARS, "assigned": complement(unassigned), "ascii": ((0, 127),)}[plain]
    return _property(plain)


@lru_cache(maxsize=64)
def _property(name: str) -> Charset | None:
    steps = _table().get(name)
    if steps is None:
        return None
    bounds = list(accumulate(int(step, 36) for step in steps.split()))
    return tuple((first, last - 1) for first, last in zip(bounds[::2], bounds[1::2], strict=True))


def word() -> Charset:
    """What `\\w` is: letters, marks, decimal digits, connectors and joiners (UTS 18, annex C)."""
    return _property("word") or ()


@lru_cache(maxsize=512)
def fold(one: Charset) -> Charset:
    """`one` with all that differs from its characters in case alone (Unicode's simple folding)."""
    if one and one[-1][1] < 128:
        codes = [code for first, last in one for code in range(first, last + 1)]
        twins = [code ^ 0x20 for code in codes if 0x41 <= (code & 0x5F) <= 0x5A]
        odd = [_ODD_FOLDS[code] for code in codes if code in _ODD_FOLDS]
        return union([*one, *((code, code) for code in twins + odd)])
    more = [(code, code) for group in _groups() if any(contains(one, code) for code in group) for code in group]
    return union([*one, *more]) if more else one


@lru_cache(maxsize=1)
def _groups() -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(code, 36) for code in group.split("-")) for group in _table()["fold"].split())


@lru_cache(maxsize=1)
def _table() -> dict[str, str]:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "unicode.dat")
    with open(path, "rb") as file:
        lines = zlib.decompress(file.read()).decode().split("\n")
    named = (line.partition(":") for line in lines)
    return {name: steps for names, _, steps in named for name in names.split(",")}
