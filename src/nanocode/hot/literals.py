"""Finds the strings without which a pattern cannot match, so that most text is never read; knows nothing of matching.

They are bytes of UTF-8. A `folded` one stands for itself in any mix of ASCII case, and is in lower case.
"""

from itertools import product
from typing import NamedTuple

from nanocode.hot.charset import Charset
from nanocode.hot.syntax import At, Atomic, Chars, Choice, Group, Look, Node, Repeat, Sequence, every

MOST = 64
# A longer needle is found no faster.
LONGEST = 32
_FEW_CHARS = 8


class Literal(NamedTuple):
    text: bytes
    folded: bool

    def then(self, other: "Literal") -> "Literal":
        if self.folded == other.folded or not self.text or not other.text:
            return Literal(self.text + other.text, self.folded or other.folded)
        return Literal((self.text + other.text).lower(), True)


_Set = frozenset[Literal]
_NOTHING = frozenset((Literal(b"", False),))


class Needles(NamedTuple):
    """Every match contains one of `required`, when there are any. When `whole`, each of them alone is a match."""

    required: tuple[Literal, ...]
    whole: bool


class _Facts(NamedTuple):
    """`exact`: all that the node can match, None when too much; `best`: a set of which every match contains one."""

    exact: _Set | None
    best: _Set | None

    @property
    def needed(self) -> _Set | None:
        return _better(self.best, self.exact)


def needles(node: Node) -> Needles:
    """What every match of `node` contains."""
    facts = _facts(node)
    edges = any(isinstance(each, At | Look) for each in every(node))
    best = facts.needed
    if best is None:
        return Needles((), False)
    whole = best is facts.exact and not edges and not any(each.folded for each in best)
    return Needles(tuple(sorted(best)), whole)


def _score(some: _Set | None) -> tuple[int, int]:
    if not some or len(some) > MOST:
        return (0, 0)
    shortest = min(len(each.text) for each in some)
    # A short needle of one is better than a long one of many, up to a point.
    return (min(shortest, 4) * 2 - (len(some) > 1) - (len(some) > 8), shortest) if shortest else (0, 0)


def _better(one: _Set | None, other: _Set | None) -> _Set | None:
    best = one if _score(one) > _score(other) else other
    return best if _score(best) > (0, 0) else None


def _facts(node: Node) -> _Facts:
    match node:
        case Chars(members):
            return _Facts(_characters(members), None)
        case Sequence(items):
            return _sequence([_facts(each) for each in items])
        case Choice(items):
            return _choice([_facts(each) for each in items])
        case Repeat(item, least, most) if least:
            copies = min(least, 4)
            facts = _sequence([_facts(item)] * copies)
            return facts if least == most == copies else _Facts(None, facts.needed)
        case Group(item) | Atomic(item):
            return _facts(item)
        case At() | Look():
            return _Facts(_NOTHING, None)
    return _Facts(None, None)


def _characters(members: Charset) -> _Set | None:
    if sum(last - first + 1 for first, last in members) > _FEW_CHARS:
        return None
    chars = [chr(code) for first, last in members for code in range(first, last + 1)]
    if len(chars) == 2 and chars[0].isascii() and chars[0].isupper() and chars[0].lower() == chars[1]:
        return frozenset((Literal(chars[1].encode(), True),))
    # The odd partners of k and s would double the needles with each of them.
    if {"k", "K"} < set(chars) or {"s", "S"} < set(chars):
        return None
    return frozenset(Literal(char.encode(), False) for char in chars)


def _sequence(items: list[_Facts]) -> _Facts:
    best: _Set | None = None
    run: _Set = _NOTHING
    complete = True
    for exact, inner in items:
        joined = None if exact is None or len(run) * len(exact) > MOST else _joined(run, exact)
        if joined is not None:
            run = joined
            continue
        complete = False
        best = _better(best, run)
        best = _better(best, inner)
        run = _NOTHING if exact is None or len(exact) > MOST else exact
    return _Facts(run, best) if complete else _Facts(None, _better(best, run))


def _joined(run: _Set, more: _Set) -> _Set | None:
    if any(len(each.text) >= LONGEST for each in run):
        return None
    return frozenset(one.then(other) for one, other in product(run, more))


def _choice(branches: list[_Facts]) -> _Facts:
    exact: _Set | None = frozenset()
    needed: _Set | None = frozenset()
    for each in branches:
        exact = None if exact is None or each.exact is None else exact | each.exact
        more = each.needed
        needed = None if needed is None or more is None else needed | more
    return _Facts(exact if exact is None or len(exact) <= MOST else None, needed)
