"""Programs of a backtracking matcher, for patterns that no automaton decides; knows nothing of text.

The compiled twin runs them with a bound on their steps, and asks `regex` where that is reached or there is no program.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from nanocode.hot.automaton import NO_WORD_EDGE, PLACES, WORD_EDGE, partition
from nanocode.hot.charset import Charset, difference, word
from nanocode.hot.syntax import At, Atomic, Back, Chars, Choice, Group, If, Look, Node, Repeat, Sequence, every

# Instructions: the end; one character of set x; from y to z of them (-1: any number), as many as may be, as few, or as
# many with no way back; the way on, else x; a place of kind x; the start or end of a group into slot x; what is in the
# slots x and x + 1, without regard to case when y; what has to fit ahead from x on, or must not; y to z characters
# behind; x once, with no way back.
(END, ONE, GREEDY, LAZY, POSSESSIVE, SPLIT, PLACE, MARK, SAME, AHEAD, NOT_AHEAD, BEHIND, NOT_BEHIND, ONCE) = range(14)
# A pattern that needs more is left to `regex`.
MOST = 2000
_LOOKS = {"?=": AHEAD, "?!": NOT_AHEAD, "?<=": BEHIND, "?<!": NOT_BEHIND}
_MANNERS = {"": GREEDY, "?": LAZY, "+": POSSESSIVE}


@dataclass(slots=True)
class Trial:
    """Instructions as lists of equal length, from `entry` on; each goes on at `nexts`.

    `bounds`, `classes` and `sets` are as in `automaton.Program`; set `word` is that of word characters, -1 when no
    place needs it. Group n has the slots 2n - 2 and 2n - 1.
    """

    ops: list[int] = field(default_factory=list)
    nexts: list[int] = field(default_factory=list)
    xs: list[int] = field(default_factory=list)
    ys: list[int] = field(default_factory=list)
    zs: list[int] = field(default_factory=list)
    entry: int = 0
    slots: int = 0
    word: int = -1
    bounds: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    sets: list[list[bool]] = field(default_factory=list)


class Width(NamedTuple):
    """How many characters something takes: `most` is None where there is no bound."""

    least: int
    most: int | None


class _UnfitError(Exception):
    """The matcher might not do as `regex` does."""


def trial(node: Node) -> Trial | None:
    """The program of a tree, None where `regex` has to decide: conditions, repeats of what can be empty, and so on."""
    try:
        return _Compiler().compiled(node)
    except _UnfitError:
        return None


def width(node: Node) -> Width:
    match node:
        case Chars():
            return Width(1, 1)
        case Sequence(items):
            return _sum([width(each) for each in items])
        case Choice(items):
            widths = [width(each) for each in items]
            most = [each.most for each in widths if each.most is not None]
            return Width(min(each.least for each in widths), max(most) if len(most) == len(widths) else None)
        case Repeat(item, least, most):
            one = width(item)
            return Width(one.least * least, None if one.most is None or most is None else one.most * most)
        case Group(item) | Atomic(item):
            return width(item)
        case Back() | If():
            return Width(0, None)
    return Width(0, 0)


def _sum(widths: list[Width]) -> Width:
    most = [each.most for each in widths if each.most is not None]
    return Width(sum(each.least for each in widths), sum(most) if len(most) == len(widths) else None)


class _Compiler:
    def __init__(self) -> None:
        self._trial = Trial()
        self._sets: dict[Charset, int] = {}

    def compiled(self, node: Node) -> Trial:
        made = self._trial
        made.entry = self._node(node, self._emit(END, 0))
        made.slots = 2 * max((each.number for each in every(node) if isinstance(each, Group)), default=0)
        made.bounds, made.classes, made.sets = partition(self._sets)
        return made

    def _emit(self, op: int, after: int, x: int = 0, y: int = 0, z: int = 0) -> int:
        made = self._trial
        if len(made.ops) >= MOST:
            raise _UnfitError
        for values, value in zip((made.ops, made.nexts, made.xs, made.ys, made.zs), (op, after, x, y, z), strict=True):
            values.append(value)
        return len(made.ops) - 1

    def _set(self, members: Charset) -> int:
        return self._sets.setdefault(members, len(self._sets))

    def _node(self, node: Node, after: int) -> int:
        """Emit `node` with `after` to follow it, and return where it begins."""
        match node:
            case Chars(members):
                return self._emit(ONE, after, self._set(members))
            case Sequence(items):
                for each in reversed(items):
                    after = self._node(each, after)
                return after
            case Choice(items):
                first, *others = (self._node(each, after) for each in reversed(items))
                for other in others:
                    first = self._emit(SPLIT, other, first)
                return first
            case At(edge):
                kind = PLACES[edge]
                if kind in (WORD_EDGE, NO_WORD_EDGE):
                    self._trial.word = self._set(word())
                return self._emit(PLACE, after, kind)
            case Repeat():
                return self._repeat(node, after)
            case Group(item, number):
                end = self._emit(MARK, after, 2 * number - 1)
                return self._emit(MARK, self._node(item, end), 2 * number - 2)
            case Back(number, folded):
                return self._emit(SAME, after, 2 * number - 2, folded)
            case Atomic(item):
                return self._emit(ONCE, after, self._node(item, self._emit(END, 0)))
            case Look():
                return self._look(node, after)
        raise _UnfitError

    def _repeat(self, node: Repeat, after: int) -> int:
        item, least, most, manner = node
        if isinstance(item, Chars):
            if not manner and self._ends(item.members, after):
                manner = "+"
            return self._emit(_MANNERS[manner], after, self._set(item.members), least, -1 if most is None else most)
        # What a turn that takes nothing does to groups is told in no book.
        if manner == "+" or not width(item).least:
            raise _UnfitError
        entry = after
        if most is None:
            entry = self._fork(after, after, manner)
            body = self._node(item, entry)
            (self._trial.xs if manner else self._trial.nexts)[entry] = body
        else:
            for _ in range(most - least):
                entry = self._fork(self._node(item, entry), after, manner)
        for _ in range(least):
            entry = self._node(item, entry)
        return entry

    def _ends(self, members: Charset, after: int) -> bool:
        """Whether what follows takes a character that is none of `members`, so that giving one back is in vain."""
        made = self._trial
        while made.ops[after] == MARK:
            after = made.nexts[after]
        takes = made.ops[after] == ONE or (made.ops[after] in _MANNERS.values() and made.ys[after] > 0)
        return takes and difference(members, list(self._sets)[made.xs[after]]) == members

    def _fork(self, more: int, after: int, manner: str) -> int:
        return self._emit(SPLIT, after, more) if manner else self._emit(SPLIT, more, after)

    def _look(self, node: Look, after: int) -> int:
        op = _LOOKS[node.opening]
        least, most = 0, 0
        if op in (BEHIND, NOT_BEHIND):
            # `regex` goes backwards there; without groups it does not matter which way.
            order = (Group, Back, Atomic, If)
            if any(isinstance(each, order) or getattr(each, "manner", "") == "+" for each in every(node.item)):
                raise _UnfitError
            least, bound = width(node.item)
            most = -1 if bound is None else bound
        return self._emit(op, after, self._node(node.item, self._emit(END, 0)), least, most)
