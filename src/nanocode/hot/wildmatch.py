"""Git's wildmatch patterns, cut at their slashes and translated to `re`; knows nothing of files, lines or rules.

Patterns and names are bytes: `?` and a class stand for one byte, as in git. No translation can blow up: what an inner
part of a pattern has matched is never given back, so a match costs at most O(length of name x length of pattern).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

# One place of a pattern: the bytes allowed there, or None for a run of any length.
Place = bytes | None

_ANY = bytes(byte for byte in range(256) if byte != ord("/"))
_SPECIAL = re.compile(rb"[*?\[\\]")
# Pairs of first and last member. ASCII only, and git's own idea of space: no vertical tab, no form feed (its ctype.c).
POSIX_CLASSES = {
    name: frozenset(byte for first, last in zip(ends[::2], ends[1::2], strict=True) for byte in range(first, last + 1))
    for name, ends in {
        b"alnum": b"09AZaz",
        b"alpha": b"AZaz",
        b"blank": b"\t\t  ",
        b"cntrl": b"\x00\x1f\x7f\x7f",
        b"digit": b"09",
        b"graph": b"!~",
        b"lower": b"az",
        b"print": b" ~",
        b"punct": b"!/:@[`{~",
        b"space": b"\t\n\r\r  ",
        b"upper": b"AZ",
        b"xdigit": b"09AFaf",
    }.items()
}


class Segment(NamedTuple):
    """What stands between two slashes; `depth` is not None for `**`: the fewest folders it spans."""

    places: tuple[Place, ...]
    depth: int | None = None


def _bracket(pattern: bytes, start: int) -> tuple[int, bytes] | None:
    """Read the class that opens at `start`: where it ends and the bytes it allows; None when it is malformed."""
    at = start + 1
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    allowed: set[int] = set()
    first, previous = True, -1
    while first or pattern[at : at + 1] != b"]":
        first = False
        if pattern.startswith(b"[:", at) and (name := _posix_name(pattern, at)) is not None:
            if name not in POSIX_CLASSES:
                return None
            allowed.update(POSIX_CLASSES[name])
            at, previous = at + len(name) + 4, -1
            continue
        ranged = previous >= 0 and pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"", b"]")
        at += ranged
        at += pattern[at : at + 1] == b"\\"
        if at >= len(pattern):
            return None
        allowed.update(range(previous, pattern[at] + 1) if ranged else (pattern[at],))
        previous = -1 if ranged else pattern[at]
        at += 1
    members = bytes(byte for byte in _ANY if (byte in allowed) is not negated)
    return at + 1, members


def _posix_name(pattern: bytes, at: int) -> bytes | None:
    """Name in the `[:name:]` at `at`, "" when nothing closes it; None where the next `]` ends a plain class."""
    end = pattern.find(b"]", at + 2)
    if end < 0:
        return b""
    return pattern[at + 2 : max(end - 1, at + 2)] if pattern[at + 2 : end].endswith(b":") else None


def segments(pattern: bytes) -> list[Segment] | None:
    """Cut `pattern` at its slashes; None when it can match nothing (an open class, a lone backslash at the end)."""
    if not _SPECIAL.search(pattern):
        return [Segment(tuple(bytes([byte]) for byte in part)) for part in pattern.split(b"/")]
    done: list[Segment] = []
    places: list[Place] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"[":
            bracket = _bracket(pattern, at)
            if bracket is None:
                return None
            at, allowed = bracket
            places.append(allowed)
            continue
        escaped = byte == b"\\"
        at += 1 + escaped
        if escaped:
            byte = pattern[at - 1 : at]
            if not byte:
                return None
        if byte == b"/":
            # git tries "no folder at all" for `**/` but not for `**\/`.
            done.append(_segment(places, int(escaped)))
            places = []
        elif escaped:
            places.append(byte)
        else:
            places.append(None if byte == b"*" else _ANY if byte == b"?" else byte)
    return [*done, _segment(places, 0)]


def _segment(places: list[Place], depth: int) -> Segment:
    deep = len(places) > 1 and all(place is None for place in places)
    kept = [place for at, place in enumerate(places) if place is not None or at == 0 or places[at - 1] is not None]
    return Segment(tuple(kept), depth if deep else None)


def name_expression(places: Iterable[Place], tail: bytes = b"", run: bytes = b".*") -> bytes:
    """Translate one segment and `tail` for `re.DOTALL`; `run` is what a star may span."""
    parts: list[list[bytes]] = [[]]
    for place in places:
        if place is None:
            parts.append([])
        else:
            parts[-1].append(re.escape(place) if len(place) == 1 else _byte_class(place))
    first, *rest = (b"".join(part) for part in parts)
    if not rest:
        return first + tail
    # The earliest place for an inner part leaves the most room for the rest, so it can be final: no backtracking.
    inner = b"".join(b"(?>%b?%b)" % (run, part) for part in rest[:-1])
    return first + inner + run + rest[-1] + tail


def _byte_class(allowed: bytes) -> bytes:
    if allowed == _ANY:
        return b"[^/]"
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in allowed)


def folder_expression(parts: list[Segment]) -> bytes | re.Pattern[bytes] | None:
    """What the folder part of a rule accepts: a literal path, an expression, or None for every folder."""
    if all(part.depth is None and None not in part.places for part in parts):
        if all(len(place or b"") == 1 for part in parts for place in part.places):
            return b"".join(b"".join(filter(None, part.places)) + b"/" for part in parts)
    elif all(part.depth == 0 for part in parts):
        return None
    blocks: list[tuple[int, bytes]] = [(-1, b"")]
    for part in parts:
        depth, block = blocks[-1]
        if part.depth is None:
            blocks[-1] = (depth, block + name_expression(part.places, b"/", b"[^/]*"))
        elif block or depth < 0:
            blocks.append((part.depth, b""))
        else:
            blocks[-1] = (depth + part.depth, b"")
    first, *rest = blocks
    inner = b"".join(b"(?>(?:[^/]++/){%d,}?%b)" % block for block in rest[:-1])
    last = b"(?:[^/]++/){%d,}%b" % rest[-1] if rest else b""
    return re.compile(first[1] + inner + last, re.DOTALL)
