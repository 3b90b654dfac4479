"""A finite automaton over the characters of one line: time linear in the line whatever the pattern; knows no syntax.

`Program` is what the compiled twin runs too: instructions in flat lists, and the classes of characters that no set in
the pattern tells apart.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from nanocode.hot.charset import Charset, word
from nanocode.hot.syntax import At, Chars, Choice, Edge, Group, Node, Repeat, Sequence

# Instructions: the end, one character of a class, two ways on, a place that has to fit.
MATCH, CHARS, SPLIT, AT = range(4)
# Kinds of places, and of what stands at either side of one.
STARTS, ENDS, WORD_EDGE, NO_WORD_EDGE = range(4)
NOTHING, OTHER, WORD = range(3)
# A pattern that needs more is refused; states beyond the second bound are forgotten and built anew.
MOST_INSTRUCTIONS = 10_000
MOST_STATES = 1000
# Characters between two looks at the stop byte.
PIECE = 1 << 16

PLACES: dict[Edge, int] = {
    "line start": STARTS,
    "text start": STARTS,
    "line end": ENDS,
    "text end": ENDS,
    "word edge": WORD_EDGE,
    "no word edge": NO_WORD_EDGE,
}


class TooLarge(ValueError):
    """The pattern needs more than `MOST_INSTRUCTIONS`."""


class Stopped(Exception):
    """The stop byte was set while a line was read."""


@dataclass(slots=True)
class Program:
    """Instructions as three lists, from `entry` on. CHARS: set, next; SPLIT: one, other; AT: kind, next.

    Characters fall in classes: `bounds[i]` is the first character of a run of class `classes[i]`; `sets[k][c]` tells
    whether class `c` is in set `k`; `words[c]` whether it is made of word characters. Class 0 is in no set and holds
    the surrogates, thus invalid bytes. `edges` is the set of kinds of AT used.
    """

    ops: list[int] = field(default_factory=list)
    xs: list[int] = field(default_factory=list)
    ys: list[int] = field(default_factory=list)
    entry: int = 0
    bounds: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    sets: list[list[bool]] = field(default_factory=list)
    words: list[bool] = field(default_factory=list)
    edges: set[int] = field(default_factory=set)

    def class_of(self, code: int) -> int:
        return self.classes[bisect_right(self.bounds, code) - 1]


def compiled(node: Node) -> Program:
    """The program of a regular tree. Raise TooLarge."""
    return _Compiler().compiled(node)


class _Compiler:
    def __init__(self) -> None:
        self._program = Program()
        self._sets: dict[Charset, int] = {}

    def compiled(self, node: Node) -> Program:
        program = self._program
        end = self._emit(MATCH, 0, 0)
        program.entry = self._node(node, end)
        if program.edges & {WORD_EDGE, NO_WORD_EDGE}:
            self._sets.setdefault(word(), len(self._sets))
        self._classes()
        return program

    def _emit(self, op: int, x: int, y: int) -> int:
        program = self._program
        if len(program.ops) >= MOST_INSTRUCTIONS:
            raise TooLarge("it is too large")
        program.ops.append(op)
        program.xs.append(x)
        program.ys.append(y)
        return len(program.ops) - 1

    def _node(self, node: Node, after: int) -> int:
        """Emit `node` with `after` to follow it, and return where it begins."""
        match node:
            case Chars(members):
                return self._emit(CHARS, self._sets.setdefault(members, len(self._sets)), after)
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
                self._program.edges.add(PLACES[edge])
                return self._emit(AT, PLACES[edge], after)
            case Repeat(item, least, most):
                return self._repeat(item, least, most, after)
            case Group(item):
                return self._node(item, after)
        raise ValueError(f"`{type(node).__name__}` is not regular")

    def _repeat(self, item: Node, least: int, most: int | None, after: int) -> int:
        entry = after
        if most is None:
            entry = self._emit(SPLIT, after, after)
            self._program.xs[entry] = body = self._node(item, entry)
            if least:
                least, entry = least - 1, body
        else:
            for _ in range(most - least):
                entry = self._emit(SPLIT, self._node(item, entry), after)
        for _ in range(least):
            before, entry = entry, self._node(item, entry)
            # Copies of nothing would only cost time, without end when they are nested.
            if entry == before:
                break
        return entry

    def _classes(self) -> None:
        program = self._program
        program.bounds, program.classes, program.sets = partition(self._sets)
        word_set = self._sets.get(word()) if program.edges & {WORD_EDGE, NO_WORD_EDGE} else None
        kinds = range(max(program.classes) + 1)
        program.words = [word_set is not None and program.sets[word_set][kind] for kind in kinds]


def partition(sets: dict[Charset, int]) -> tuple[list[int], list[int], list[list[bool]]]:
    """Cut the characters at the bounds of all `sets`, and number what the pieces belong to: `Program` has the rest."""
    changes: dict[int, set[int]] = {0: set()}
    for members, number in sets.items():
        for first, last in members:
            changes.setdefault(first, set()).symmetric_difference_update((number,))
            changes.setdefault(last + 1, set()).symmetric_difference_update((number,))
    bounds, classes = sorted(changes), []
    known = {frozenset[int](): 0}
    inside: frozenset[int] = frozenset()
    for bound in bounds:
        inside ^= changes[bound]
        classes.append(known.setdefault(inside, len(known)))
    return bounds, classes, [[number in belongs for belongs in known] for number in range(len(sets))]


class _State:
    """Where the pattern may be, what was read last, and whether a match ended right before that."""

    __slots__ = ("hit", "key", "moves", "previous")

    def __init__(self, key: frozenset[int], previous: int, hit: bool) -> None:
        self.key = key
        self.previous = previous
        self.hit = hit
        self.moves: dict[str, _State] = {}


class Automaton:
    """Runs a program over lines, learning its states as it meets them. Not for use by several threads at once."""

    __slots__ = ("_program", "_start", "_states")

    def __init__(self, program: Program) -> None:
        self._program = program
        self._states: dict[tuple[frozenset[int], int, bool], _State] = {}
        self._start = self._state(frozenset((program.entry,)), NOTHING, False)

    def found(self, line: str, stop: bytearray | None = None) -> bool:
        """Whether the pattern matches anywhere in `line`. Raise Stopped."""
        state = self._start
        for _, piece in _pieces(line, stop):
            for char in piece:
                state = state.moves.get(char) or self._move(state, char)
                if state.hit:
                    return True
        return self._closure(state, NOTHING)[1]

    def last_end(self, line: str, stop: bytearray | None = None) -> int:
        """The largest offset where a match ends, -1 when there is none. Raise Stopped."""
        state, last = self._start, -1
        for first, piece in _pieces(line, stop):
            for at, char in enumerate(piece, first):
                state = state.moves.get(char) or self._move(state, char)
                if state.hit:
                    last = at
        return len(line) if self._closure(state, NOTHING)[1] else last

    def _state(self, key: frozenset[int], previous: int, hit: bool) -> _State:
        found = self._states.get((key, previous, hit))
        if found is None:
            found = self._states[key, previous, hit] = _State(key, previous, hit)
        return found

    def _move(self, state: _State, char: str) -> _State:
        program = self._program
        if len(self._states) >= MOST_STATES:
            self._states = {}
            self._start = self._state(frozenset((program.entry,)), NOTHING, False)
            # The state at hand starts to learn anew too, else it would keep the forgotten ones alive.
            state = self._state(state.key, state.previous, state.hit)
        kind = program.class_of(ord(char))
        following = WORD if program.words[kind] else OTHER
        places, hit = self._closure(state, following)
        taken = {program.ys[place] for place in places if program.sets[program.xs[place]][kind]}
        taken.add(program.entry)
        state.moves[char] = found = self._state(frozenset(taken), following, hit)
        return found

    def _closure(self, state: _State, following: int) -> tuple[list[int], bool]:
        """The instructions that take a character, reached between what was read and `following`; and any match."""
        program = self._program
        before = state.previous
        fits = (before == NOTHING, following == NOTHING, (before == WORD) != (following == WORD))
        seen = set(state.key)
        waiting = list(seen)
        takers, hit = [], False
        while waiting:
            place = waiting.pop()
            op, x, y = program.ops[place], program.xs[place], program.ys[place]
            if op == CHARS:
                takers.append(place)
                continue
            if op == MATCH:
                hit = True
                continue
            passed = op == SPLIT or (not fits[WORD_EDGE] if x == NO_WORD_EDGE else fits[x])
            ways = ((x, y) if op == SPLIT else (y,)) if passed else ()
            fresh = [way for way in ways if way not in seen]
            seen.update(fresh)
            waiting += fresh
        return takers, hit


def _pieces(line: str, stop: bytearray | None) -> Iterator[tuple[int, str]]:
    """The line in pieces, each with its offset."""
    for at in range(0, len(line), PIECE):
        if stop and stop[0]:
            raise Stopped
        yield at, line[at : at + PIECE]
