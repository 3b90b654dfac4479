"""Finds what stands at fixed distances in every match, so that most text is never tried; knows nothing of matching.

It counts characters as bytes, and thus holds for matches of ASCII alone.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from nanocode.hot.syntax import At, Atomic, Back, Chars, Choice, Group, Look, Node, Repeat, Sequence
from nanocode.hot.trial import width

# Distances beyond this are not looked at.
LONGEST = 64


class Check(NamedTuple):
    """The byte at `at` is `other`, or the one at `other` when `same`; `folded` when ASCII case does not count."""

    at: int
    other: int
    same: bool
    folded: bool


@dataclass(slots=True)
class _Run:
    """A stretch of a pattern in which each character has its place, as far as it has been read."""

    size: int = 0
    checks: list[Check] = field(default_factory=list)
    groups: dict[int, tuple[int, int]] = field(default_factory=dict)


def checks(node: Node) -> tuple[Check, ...]:
    """What holds at some place of every match, of the stretch with the most repeated characters; () without any."""
    runs = [_Run()]
    _read(node, runs)
    found = max((run.checks for run in runs), key=lambda each: (sum(one.same for one in each), len(each)))
    return tuple(found) if any(one.same for one in found) else ()


def _read(node: Node, runs: list[_Run]) -> None:
    run = runs[-1]
    match node:
        case Chars(members):
            run.checks += _literal(members, run.size)
            run.size += 1
        case Sequence(items):
            for each in items:
                _read(each, runs)
        case Group(item, number):
            start = run.size
            _read(item, runs)
            if runs[-1] is run:
                run.groups[number] = (start, run.size)
        case Atomic(item):
            _read(item, runs)
        case Repeat(item, least, most) if least == most and (width(item).most or LONGEST) * least < LONGEST:
            for _ in range(least):
                _read(item, runs)
        case Back(number, folded) if number in run.groups:
            start, end = run.groups[number]
            run.checks += [Check(run.size + at - start, at, True, folded) for at in range(start, end)]
            run.size += end - start
        case Choice() if width(node).least == width(node).most:
            run.size += width(node).least
        case At() | Look():
            return
        case _:
            runs.append(_Run())
    if runs[-1].size > LONGEST:
        runs.append(_Run())


def _literal(members: tuple[tuple[int, int], ...], at: int) -> list[Check]:
    codes = [code for first, last in members for code in range(first, min(last, 127) + 1)]
    if len(codes) == 1:
        return [Check(at, codes[0], False, False)]
    if len(codes) == 2 and codes[1] == codes[0] | 0x20 and chr(codes[1]).isalpha():
        return [Check(at, codes[1], False, True)]
    return []
