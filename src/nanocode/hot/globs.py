"""Glob patterns as people and models write them, braces and `**` included; knows nothing of walking or ignore rules.

A pattern becomes an automaton without branches to retry (a lazily built DFA), so every path costs O(its length) once
the states it meets are known, and no pattern is exponential; names and one-star suffixes skip the automaton.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from nanocode.hot.wildmatch import POSIX_CLASSES

# More states than this are forgotten and built anew: the memory of one pattern stays below about a megabyte.
STATES = 1024

_POSIX = "|".join(name.decode() for name in POSIX_CLASSES)
_TOKEN = re.compile(
    rf"\\(?P<escaped>.)|(?P<members>\[[!^]?+\]?+(?:\\.|\[:(?:{_POSIX}):\]|[^\]\\])*+\])"
    r"|(?P<deep>\*\*+/)|(?P<stars>\*+)|(?P<plain>.)",
    re.DOTALL,
)
_MEMBER = re.compile(rf"\\(?P<escaped>.)|\[:(?P<posix>{_POSIX}):\]|(?P<plain>.)", re.DOTALL)
# `name`, `*.py`, `*.{ts,tsx}`: no separators, nothing escaped, nothing that has no UTF-8.
_SIMPLE = re.compile(
    r"(\*?)([^\\*?\[{},/\ud800-\udfff]*)(?:\{([^\\*?\[{}/\ud800-\udfff]+)\})?([^\\*?\[{},/\ud800-\udfff]*)"
)

_Test = Callable[[str], bool]
_within: _Test = "/".__ne__


def _always(char: str) -> bool:
    return True


class Glob:
    """One pattern, compiled in O(length); any text is a pattern, and what is malformed in it stands for itself.

    `*` is any run within a name, `?` one character of a name, `**` any run across names; `**/` at the start of a name
    also spans no folder at all, so `a/**/b` takes `a/b`. `[abc]`, `[a-z]`, `[!a]`, `[^a]`, `[[:alpha:]]` are one
    character, never a slash. `{a,b}` is either, nested at will, also empty (`a{,.bak}`); `{a}` is `a`, `{}` is itself.
    A backslash takes the next character literally. An unclosed `[` or `{`, a `}` or `,` without one, and a backslash
    at the end are literal. Case and leading dots are nothing special.

    A pattern with a slash (not in a class, not only at its end) is matched against the whole path, any other against
    the last name, unless `anchored` asks for the whole path too. Leading `/` or `./` anchor and are dropped.
    A slash at the end sets `folders_only`, which is the caller's to honour, and is dropped.

    A path is bytes: a valid UTF-8 sequence is one character, any other byte is a character of its own
    (`surrogateescape`). Not for use by several threads at once.
    """

    __slots__ = ("_machine", "_names", "_recent", "_suffixes", "anchored", "folders_only", "pattern")

    def __init__(self, pattern: str, *, anchored: bool = False) -> None:
        self.pattern = pattern
        *_, last = _TOKEN.finditer("." + pattern)
        self.folders_only = bool(last["deep"]) or last["plain"] == "/"
        body = pattern[:-1] if self.folders_only else pattern
        bare = body.removeprefix(".") if body.startswith("./") else body
        body = bare.removeprefix("/")
        anywhere = body.removeprefix("**/")
        if anywhere != body and "/" not in anywhere and "**" not in anywhere:
            body, self.anchored = anywhere, False
        else:
            self.anchored = anchored or body is not bare or _has_separator(body)
        self._names, self._suffixes = (frozenset[bytes](), ()) if self.anchored else _affixes(body)
        self._machine = None if self._names or self._suffixes else _Machine(body)
        self._recent: tuple[bytes, _State | None] = (b"", None)

    @property
    def literal(self) -> bytes | None:
        """The one name that matches, when there is only one and it is known without running the pattern."""
        return next(iter(self._names)) if len(self._names) == 1 and not self._suffixes else None

    def matches(self, path: bytes) -> bool:
        """Whether `path`, slash-separated without a slash at either end, fits; amortised O(length)."""
        folder, _, name = path.rpartition(b"/")
        machine = self._machine
        if machine is None:
            return name in self._names or name.endswith(self._suffixes)
        if not self.anchored or not folder:
            return machine.run(machine.start, name).final
        # Names of one folder come one after the other: what the folder did to the automaton is kept.
        known, state = self._recent
        if state is None or known != folder:
            state = machine.run(machine.start, folder + b"/")
            self._recent = (folder, state)
        return machine.run(state, name).final


def _has_separator(pattern: str) -> bool:
    return any(token["deep"] or "/" in (token["plain"], token["escaped"]) for token in _TOKEN.finditer(pattern))


def _affixes(pattern: str) -> tuple[frozenset[bytes], tuple[bytes, ...]]:
    """The names, and the ends of names, that a simple pattern stands for; nothing when it is not simple."""
    simple = _SIMPLE.fullmatch(pattern)
    if simple is None:
        return frozenset(), ()
    star, head, inner, tail = simple.groups()
    alternatives = [""] if inner is None else inner.split(",")
    ends = tuple((head + middle + tail).encode() for middle in alternatives)
    return (frozenset(), ends) if star else (frozenset(ends), ())


class _State:
    """A set of places in the pattern, and the states that characters already seen lead to."""

    __slots__ = ("final", "members", "moves")

    def __init__(self, members: frozenset[int], final: bool) -> None:
        self.members = members
        self.final = final
        self.moves: dict[str, _State] = {}


class _Front(NamedTuple):
    """Where the reading of a pattern stands: the place reached, and the one reached only where a name starts."""

    place: int
    at_name: int | None = None


class _Machine:
    """The automaton of a pattern: numbered places, edges that take a character, skips that take none."""

    __slots__ = ("_edges", "_last", "_skips", "_states", "start")

    def __init__(self, pattern: str) -> None:
        self._edges: list[list[tuple[_Test, int]]] = [[]]
        self._skips: list[list[int]] = [[]]
        self._last = self._build(list(_TOKEN.finditer(pattern)))
        self._states: dict[frozenset[int], _State] = {}
        self.start = self._state([0])

    def run(self, state: _State, text: bytes) -> _State:
        """The state after `text`; bytes that are no UTF-8 are characters of their own."""
        for char in text.decode("utf-8", "surrogateescape"):
            state = state.moves.get(char) or self._move(state, char)
        return state

    def _move(self, state: _State, char: str) -> _State:
        edges = [edge for place in state.members for edge in self._edges[place]]
        state.moves[char] = following = self._state([target for test, target in edges if test(char)])
        return following

    def _state(self, places: list[int]) -> _State:
        """The state of `places` and of all that skips reach from there."""
        seen = set(places)
        while places:
            fresh = [target for target in self._skips[places.pop()] if target not in seen]
            seen.update(fresh)
            places += fresh
        members = frozenset(seen)
        if members not in self._states:
            if len(self._states) >= STATES:
                self._states = {}
                self.start = self._state([0])
            self._states[members] = _State(members, self._last in members)
        return self._states[members]

    def _place(self, *skipped_from: int) -> int:
        self._edges.append([])
        self._skips.append([])
        for place in skipped_from:
            self._skips[place].append(len(self._edges) - 1)
        return len(self._edges) - 1

    def _take(self, place: int, test: _Test) -> int:
        target = self._place()
        self._edges[place].append((test, target))
        return target

    def _repeat(self, place: int, test: _Test) -> int:
        loop = self._place(place)
        self._edges[loop].append((test, loop))
        return loop

    def _build(self, tokens: list[re.Match[str]]) -> int:
        """Lay out the places of `tokens` and return the last one."""
        structural = _structural(tokens)
        braces: list[tuple[_Front, list[_Front]]] = []
        front = _Front(0, 0)
        for at, token in enumerate(tokens):
            if at in structural:
                front = self._brace(token["plain"], braces, front)
            elif token["deep"]:
                after = self._take(self._repeat(front.place, _always), "/".__eq__)
                after = after if front.at_name is None else self._place(after, front.at_name)
                front = _Front(after, after)
            elif token["stars"]:
                front = _Front(self._repeat(front.place, _always if len(token["stars"]) > 1 else _within))
            else:
                target = self._take(front.place, _test(token))
                front = _Front(target, target if "/" in (token["plain"], token["escaped"]) else None)
        return front.place

    def _brace(self, char: str, braces: list[tuple[_Front, list[_Front]]], front: _Front) -> _Front:
        """Open, go on with, or close a group of alternatives; `braces` holds where each began, and its ends so far."""
        if char == "{":
            braces.append((front, []))
            return front
        entry, ends = braces[-1]
        ends.append(front)
        if char == ",":
            return entry
        braces.pop()
        starts = [end.at_name for end in ends if end.at_name is not None]
        return _Front(self._place(*(end.place for end in ends)), self._place(*starts) if starts else None)


def _structural(tokens: list[re.Match[str]]) -> set[int]:
    """Indices of the braces that have a partner, and of the commas that belong to one."""
    found: set[int] = set()
    opened: list[list[int]] = []
    for at, token in enumerate(tokens):
        char = token["plain"]
        if char == "{":
            opened.append([at])
        elif char == "," and opened:
            opened[-1].append(at)
        elif char == "}" and opened:
            inner = opened.pop()
            if inner != [at - 1]:
                found.update(inner, (at,))
    return found


def _test(token: re.Match[str]) -> _Test:
    if token["members"]:
        return _members(token["members"][1:-1])
    if token["plain"] == "?":
        return _within
    char: str = token["plain"] or token["escaped"]
    return char.__eq__


def _members(body: str) -> _Test:
    """The test of a class, given what stands between its brackets."""
    negated = body[0] in "!^"
    ranges: list[tuple[str, str]] = []
    posix: set[str] = set()
    items = list(_MEMBER.finditer(body, int(negated)))
    at = 0
    while at < len(items):
        item = items[at]
        at += 1
        if item["posix"]:
            posix.update(map(chr, POSIX_CLASSES[item["posix"].encode()]))
            continue
        first = last = item["escaped"] or item["plain"]
        if at + 1 < len(items) and items[at]["plain"] == "-" and not items[at + 1]["posix"]:
            last = items[at + 1]["escaped"] or items[at + 1]["plain"]
            at += 2
        ranges.append((first, last))

    def test(char: str) -> bool:
        inside = char in posix or any(first <= char <= last for first, last in ranges)
        return char != "/" and inside is not negated

    return test
