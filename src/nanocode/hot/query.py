"""A pattern made ready: its tree, the strings it needs, and engines that find the first match in a text.

Knows nothing of files. A regular pattern costs time linear in the text: `regex` may try for a moment, then the
automaton decides. Any other has `regex` and its deadline alone.
"""

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from nanocode.hot import backtrack
from nanocode.hot.automaton import Automaton, Program, TooLarge, compiled
from nanocode.hot.charset import contains
from nanocode.hot.literals import Literal, Needles, needles
from nanocode.hot.pattern import PatternError, literal, parse, wants_lines
from nanocode.hot.syntax import At, Chars, Choice, Node, Repeat, every, mirrored, regular, relaxed

# Backtracking on a longer line may take quadratic time without being hopeless: the automaton takes it at once.
LONG_LINE = 2000
# Seconds for a regular pattern on one text before the automaton takes over, and for any other on one line.
IMPATIENT, PATIENT = 0.25, 1.0
# In a longer line than this `regex` looks at its clock too rarely: its steps get longer with the line.
LONGEST_TRIED = 1 << 20
# After so many lost attempts the automaton gets everything.
MOST_ATTEMPTS = 3


class Query:
    """One compiled pattern. Threads may share it: what they overwrite of each other is only learned anew.

    `fallback` says why the pattern is searched as plain text, "" when it is not. `multiline` is set when a match may
    span lines, be it asked for or spelled in the pattern; it is off when the pattern can hold no newline anyway.
    """

    def __init__(self, pattern: str, ignore_case: bool, plain: bool, multiline: bool) -> None:
        self.fallback = ""
        self.native: Any = None  # what the compiled twin makes of it
        multiline = multiline or ("\n" in pattern if plain else wants_lines(pattern))
        try:
            self._prepare(pattern, ignore_case, plain, multiline)
        except (PatternError, TooLarge) as error:
            self.fallback = str(error)
            multiline = "\n" in pattern
            self._prepare(pattern, ignore_case, True, multiline)
        self._attempts = 0

    def _prepare(self, pattern: str, ignore_case: bool, plain: bool, multiline: bool) -> None:
        if plain:
            self.node: Node = literal(pattern.replace("\r\n", "\n"), ignore_case)
        else:
            self.node = parse(pattern, ignore_case=ignore_case, multiline=multiline)
        self.multiline = multiline and _spans(self.node)
        if multiline and not self.multiline and not plain:
            self.node = parse(pattern, ignore_case=ignore_case)
        self.regular = regular(self.node)
        self.needles: Needles = needles(self.node)
        if self.multiline:
            # In the file a CR may stand before each newline.
            self.needles = Needles(tuple(map(_longest_line, self.needles.required)), False)
        self.program: Program = compiled(relaxed(self.node))

    @cached_property
    def _quick(self) -> Any:
        return backtrack.compiled(self.node, ascii_only=True)

    @cached_property
    def _tame(self) -> "re.Pattern[str] | None":
        """For short ASCII lines, without a deadline, which would be most of the cost; None when it needs one."""
        return re.compile(backtrack.spelled(self.node, ascii_only=True), re.MULTILINE) if _tame(self.node) else None

    @cached_property
    def _full(self) -> Any:
        return backtrack.compiled(self.node, ascii_only=False)

    @cached_property
    def _forward(self) -> Automaton:
        return Automaton(self.program)

    @cached_property
    def _backward(self) -> Automaton:
        return Automaton(compiled(mirrored(relaxed(self.node))))

    def in_text(self, text: str, at: int) -> tuple[int, int] | None:
        """The first match from `at` on in an ASCII text of many lines. Raise TimeoutError."""
        if self._attempts >= MOST_ATTEMPTS:
            raise TimeoutError
        try:
            found = self._quick.search(text, at, timeout=IMPATIENT if self.regular else PATIENT)
        except TimeoutError:
            self._attempts += self.regular
            raise
        return (found.start(), found.end()) if found else None

    def in_line(self, line: str, stop: bytearray | None = None) -> int:
        """Where the leftmost match in `line` starts, -1 when there is none.

        Raise TimeoutError if not regular, Stopped when the `stop` byte is set.
        """
        if not self.regular:
            try:
                if len(line) > LONGEST_TRIED:
                    raise TimeoutError
                found = (self._quick if line.isascii() else self._full).search(line, timeout=PATIENT)
            except TimeoutError:
                if self._forward.found(line, stop):
                    raise
                return -1
            return found.start() if found else -1
        if len(line) <= LONG_LINE and line.isascii() and self._attempts < MOST_ATTEMPTS:
            if self._tame:
                found = self._tame.search(line)
                return found.start() if found else -1
            try:
                found = self._quick.search(line, timeout=IMPATIENT)
                return found.start() if found else -1
            except TimeoutError:
                self._attempts += 1
        if not self._forward.found(line, stop):
            return -1
        return len(line) - self._backward.last_end(line[::-1], stop)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """All matches in a whole text, over its lines. Raise TimeoutError between two of them."""
        search, at = (self._quick if text.isascii() else self._full).search, 0
        while at <= len(text) and (found := search(text, at, timeout=PATIENT)):
            yield found.span()
            at = found.end() + (found.end() == found.start())


def _longest_line(needle: Literal) -> Literal:
    return needle._replace(text=max(needle.text.split(b"\n"), key=len))


def _tame(node: Node) -> bool:
    """Whether backtracking is at worst quadratic: one open repeat at most, of something without a choice."""
    repeats = [each for each in every(node) if isinstance(each, Repeat)]
    inner = [below for each in repeats for below in every(each)[1:]]
    return sum(each.least != each.most for each in repeats) <= 1 and not any(
        isinstance(each, Repeat | Choice) for each in inner
    )


def _spans(node: Node) -> bool:
    return any(
        (isinstance(each, Chars) and contains(each.members, 10)) or (isinstance(each, At) and "text" in each.edge)
        for each in every(node)
    )


@lru_cache(maxsize=32)
def query(pattern: str, ignore_case: bool, plain: bool, multiline: bool) -> Query:
    """The compiled pattern, one of the last few asked for at once."""
    return Query(pattern, ignore_case, plain, multiline)
