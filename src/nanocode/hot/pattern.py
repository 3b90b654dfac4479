"""Reads a regular expression as models write them into a tree; knows nothing of matching it.

The syntax is Python's, with what other engines have and models bring along: `\\p{Greek}`, `\\P{L}`, `\\pL`,
`[[:alpha:]]`, `\\z`, `\\x{1F600}`, `\\u{e9}`, `(?<name>…)`, `\\k<name>`, `\\h`, and flags that start in mid-pattern.
A brace that is no repeat, as in `interface{}`, is itself. Every set of characters in the tree is explicit: case, `\\w`
and `.` are resolved while reading, so that no engine needs to know Unicode. Group names are numbers in the tree.
"""

import re
import unicodedata
from dataclasses import dataclass, replace

from nanocode.hot.charset import NEWLINE, SCALARS, Charset, complement, difference, fold, posix, unicode, union, word
from nanocode.hot.syntax import EMPTY, At, Atomic, Back, Chars, Choice, Edge, Group, If, Look, Node, Repeat, Sequence

# Deeper nesting and longer programs than anyone writes; they bound stack and memory.
DEEPEST = 100
MOST_REPEATS = 5000


class PatternError(ValueError):
    """What is wrong with a pattern, and the offset in characters where."""

    def __init__(self, words: str, offset: int) -> None:
        super().__init__(f"{words} at offset {offset}")
        self.offset = offset


_REPEAT = re.compile(r"[*+?]|\{(?:(?P<least>\d+)(?P<range>,(?P<most>\d*))?|,(?P<upto>\d+))\}")
_POSIX = re.compile(r"\[:(\^?)([a-z]+):\]")
_OPENING = re.compile(
    r"\?(?:(?P<plain>:)|(?P<atomic>>)|(?P<look><?[=!])|P?<(?P<name>[^\W\d]\w*)>|P=(?P<back>\w+)\)|(?P<comment>\#)"
    r"|\((?P<asked>\w+)\)|(?P<on>[aiLmsuUx]*)(?:-(?P<off>[aimsux]+))?(?P<end>[:)]))"
)
_HEX = re.compile(r"x\{([0-9A-Fa-f]+)\}|x([0-9A-Fa-f]{2})|u\{([0-9A-Fa-f]+)\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_OCTAL = re.compile(r"0[0-7]{0,2}|[0-3][0-7]{2}")
_PROPERTY = re.compile(r"[pP](?:\{(\^?)([^{}]+)\}|([A-Za-z]))")
_CONTROLS = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27}
_EDGES: dict[str, Edge] = {
    "A": "text start",
    "Z": "text end",
    "z": "text end",
    "b": "word edge",
    "B": "no word edge",
}
_CR, _LF = Chars(((13, 13),)), Chars(NEWLINE)
_VERBOSE_BLANK = re.compile(r"(?:[ \t\n\r\f\v]|#[^\n]*)+")


@dataclass(frozen=True, slots=True)
class Flags:
    """The inline flags in force at one place; `m` is on at first, since `^` and `$` mean lines to who greps."""

    i: bool = False
    m: bool = True
    s: bool = False
    x: bool = False
    a: bool = False

    def changed(self, on: str, off: str) -> "Flags":
        new = {name: True for name in on if name in "imsxa"} | {name: False for name in off if name in "imsxa"}
        return replace(self, **new)


def literal(text: str, ignore_case: bool) -> Node:
    """The tree of `text` itself."""
    sets = (((ord(char), ord(char)),) for char in text)
    return Sequence(tuple(Chars(fold(one) if ignore_case else one) for one in sets))


def parse(pattern: str, *, ignore_case: bool = False, multiline: bool = False) -> Node:
    """The tree of `pattern`; sets hold no newline unless `multiline`. Raise PatternError. O(length x depth).

    `^`, `$` are the edges of lines, `\\A`, `\\Z`, `\\z` those of the text. In a set that ignores case all of its
    characters' case partners are added before it is negated.
    """
    return _Parser(pattern, multiline).whole(Flags(i=ignore_case))


def wants_lines(pattern: str) -> bool:
    """Whether `pattern` spells a newline outside of a set, so that it can only match over several lines."""
    bare = re.sub(r"\\\\|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return "\n" in bare or "\\n" in bare


class _Parser:
    """One reading of one pattern."""

    def __init__(self, pattern: str, multiline: bool) -> None:
        self._text = pattern
        self._at = 0
        self._dropped: Charset = () if multiline else NEWLINE
        self._groups = 0
        self._closed: set[int] = set()
        self._names: dict[str, int] = {}
        self._depth = 0

    def whole(self, flags: Flags) -> Node:
        node = self._choice(flags)
        if self._at < len(self._text):
            raise PatternError("unbalanced `)`", self._at)
        return node

    def _chars(self, members: Charset, flags: Flags, negated: bool = False) -> Chars:
        members = fold(members) if flags.i else members
        members = complement(members) if negated else members
        return Chars(difference(members, self._dropped) if self._dropped else members)

    def _choice(self, flags: Flags) -> Node:
        """Alternatives up to a closing parenthesis or the end; flags set on the way hold to the end."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise PatternError("nested too deep", self._at)
        branches: list[list[Node]] = [[]]
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._text[self._at] == "|":
                self._at += 1
                branches.append([])
                continue
            if flags.x and (blank := _VERBOSE_BLANK.match(self._text, self._at)):
                self._at = blank.end()
                continue
            node, flags = self._item(flags)
            if node is not None:
                branches[-1].append(self._repeated(node, flags))
        self._depth -= 1
        found = [_joined(each) for each in branches]
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def _repeated(self, node: Node, flags: Flags) -> Node:
        repeated = False
        while True:
            if flags.x and (blank := _VERBOSE_BLANK.match(self._text, self._at)):
                self._at = blank.end()
            found = _REPEAT.match(self._text, self._at)
            if found is None:
                return node
            start, self._at = self._at, found.end()
            if repeated and found[0] in "*+?":
                raise PatternError("multiple repeat", start)
            repeated = True
            manner = self._text[self._at : self._at + 1]
            manner = manner if manner in ("?", "+") else ""
            self._at += len(manner)
            node = Repeat(node, *_bounds(found, start), manner)

    def _item(self, flags: Flags) -> tuple[Node | None, Flags]:
        """The next element, None for a mere change of flags or a comment, and the flags after it."""
        start, char = self._at, self._text[self._at]
        self._at += 1
        if char == "(":
            return self._parenthesis(start, flags)
        if char == "[":
            return self._set(start, flags), flags
        if char == "\\":
            return self._escape(start, flags), flags
        if char == ".":
            return Chars(difference(SCALARS, () if flags.s and not self._dropped else NEWLINE)), flags
        if char in "^$":
            kind: Edge = "line start" if char == "^" else "line end"
            ends: Edge = "text start" if char == "^" else "text end"
            return At(kind if flags.m or self._dropped else ends), flags
        if _REPEAT.match(self._text, start):
            raise PatternError("nothing to repeat", start)
        return self._chars(((ord(char), ord(char)),), flags), flags

    def _parenthesis(self, start: int, flags: Flags) -> tuple[Node | None, Flags]:
        found = _OPENING.match(self._text, self._at)
        if found is None:
            if self._text.startswith("?", self._at):
                raise PatternError("unknown extension `(?`", start)
            return self._group("", start, flags), flags
        self._at = found.end()
        if found["comment"]:
            end = self._text.find(")", self._at)
            if end < 0:
                raise PatternError("unclosed comment", start)
            self._at = end + 1
            return None, flags
        if found["back"]:
            return Back(self._number(found["back"], start), flags.i), flags
        if found["name"]:
            return self._group(found["name"], start, flags), flags
        if found["end"]:
            changed = flags.changed(found["on"], found["off"] or "")
            return (None, changed) if found["end"] == ")" else (self._inner(start, changed), flags)
        return self._special(found, start, flags), flags

    def _special(self, found: re.Match[str], start: int, flags: Flags) -> Node:
        number = self._number(found["asked"], start) if found["asked"] else 0
        inner = self._inner(start, flags)
        if found["atomic"]:
            return Atomic(inner)
        if found["look"]:
            return Look(inner, "?" + found["look"])
        if not number:
            return inner
        branches = inner.items if isinstance(inner, Choice) else (inner, EMPTY)
        if len(branches) > 2:
            raise PatternError("a condition with more than two branches", start)
        return If(number, *branches)

    def _inner(self, start: int, flags: Flags) -> Node:
        node = self._choice(flags)
        if self._at >= len(self._text):
            raise PatternError("unclosed `(`", start)
        self._at += 1
        return node

    def _group(self, name: str, start: int, flags: Flags) -> Node:
        self._groups += 1
        number = self._groups
        if name:
            if name in self._names:
                raise PatternError(f"a second group `{name}`", start)
            self._names[name] = number
        node = Group(self._inner(start, flags), number)
        self._closed.add(number)
        return node

    def _number(self, name: str, start: int) -> int:
        """The number of a closed group, given its number or name."""
        number = int(name) if name.isascii() and name.isdigit() else self._names.get(name, 0)
        if number not in self._closed:
            raise PatternError(f"no group `{name}` before its use", start)
        return number

    def _escape(self, start: int, flags: Flags) -> Node:
        """What a backslash outside of a set says."""
        text, at = self._text, self._at
        char = text[at : at + 1]
        if char in _EDGES and char:
            self._at += 1
            # Within one line, its edges are those of the text.
            line: Edge = "line start" if char == "A" else "line end"
            return At(line if self._dropped and char in "AZz" else _EDGES[char])
        if char in "123456789" and char and not (len(text) >= at + 3 and _OCTAL.match(text, at)):
            digits = text[at : at + 2] if text[at + 1 : at + 2].isdecimal() else char
            self._at += len(digits)
            return Back(self._number(digits, start), flags.i)
        if found := re.compile(r"k(?:<(\w+)>|\{(\w+)\}|'(\w+)')").match(text, at):
            self._at = found.end()
            return Back(self._number(found[found.lastindex or 0], start), flags.i)
        return self._chars(self._members(start, flags), flags)

    def _members(self, start: int, flags: Flags) -> Charset:
        """The characters that the escape whose backslash is at `start` stands for, in a set or outside."""
        text, at = self._text, self._at
        char = text[at : at + 1]
        self._at += 1
        if not char:
            raise PatternError("a backslash at the end", start)
        if char in "dDwWsS":
            found = _ascii(char) if flags.a else _perl(char.lower())
            return complement(found) if char.isupper() else found
        if char == "h":
            return union(((9, 9), *(unicode("zs") or ())))
        if match := _PROPERTY.match(text, at):
            self._at = match.end()
            return self._property(match, start)
        code = self._code(char, at, start)
        return union(((code, code),))

    def _property(self, match: re.Match[str], start: int) -> Charset:
        name = match[2] or match[3]
        members = posix(name.lower()) if name.lower() in ("alnum", "punct", "xdigit") else unicode(name)
        if members is None:
            raise PatternError(f"unknown property `{name}`", start)
        return complement(members) if (match[0][0] == "P") != bool(match[1]) else members

    def _code(self, char: str, at: int, start: int) -> int:
        """The one character that an escape stands for."""
        text = self._text
        if match := _HEX.match(text, at):
            self._at = match.end()
            code = int(match[match.lastindex or 0], 16)
            if code > 0x10FFFF:
                raise PatternError("no such character", start)
            return code
        if match := _OCTAL.match(text, at):
            self._at = match.end()
            return int(match[0], 8)
        if match := re.compile(r"N\{([^{}]+)\}").match(text, at):
            self._at = match.end()
            try:
                return ord(unicodedata.lookup(match[1]))
            except (KeyError, TypeError):
                raise PatternError(f"no character `{match[1]}`", start) from None
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isascii() and char.isalnum():
            raise PatternError(f"unknown escape `\\{char}`", start)
        return ord(char)

    def _set(self, start: int, flags: Flags) -> Node:
        """A set in brackets; a `]` first in it is itself."""
        text = self._text
        negated = text.startswith("^", self._at)
        self._at += negated
        parts: list[tuple[int, int]] = []
        first = True
        while not text.startswith("]", self._at) or first:
            if self._at >= len(text):
                raise PatternError("unclosed `[`", start)
            first = False
            low = self._member(start, flags)
            ranged = text.startswith("-", self._at) and self._at + 1 < len(text) and text[self._at + 1] != "]"
            if not ranged or not _single(low):
                parts += low
                continue
            hyphen = self._at
            self._at += 1
            high = self._member(start, flags)
            if not _single(high):
                parts += [*low, (45, 45), *high]
            elif high[0][0] < low[0][0]:
                raise PatternError("a range that ends before it starts", hyphen - 1)
            else:
                parts.append((low[0][0], high[0][0]))
        self._at += 1
        return self._chars(union(parts), flags, negated)

    def _member(self, start: int, flags: Flags) -> Charset:
        char = self._text[self._at]
        if match := _POSIX.match(self._text, self._at):
            members = posix(match[2])
            if members is None:
                raise PatternError(f"unknown class `{match[0]}`", self._at)
            self._at = match.end()
            return complement(members) if match[1] else members
        self._at += 1
        if char == "\\":
            return self._members(self._at - 1, flags)
        return ((ord(char), ord(char)),)


def _joined(items: list[Node]) -> Node:
    """The items in a row; texts are searched with LF for every CR LF, so a spelled-out CR LF is LF too."""
    kept = [one for one, after in zip(items, [*items[1:], None], strict=False) if (one, after) != (_CR, _LF)]
    return kept[0] if len(kept) == 1 else Sequence(tuple(kept))


def _single(members: Charset) -> bool:
    return len(members) == 1 and members[0][0] == members[0][1]


def _bounds(found: re.Match[str], start: int) -> tuple[int, int | None]:
    least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(found[0], (0, 0))
    if found[0].startswith("{"):
        least = int(found["least"] or 0)
        most = least if found["least"] and not found["range"] else None
        if found["upto"] or found["most"]:
            most = int(found["upto"] or found["most"])
    if max(least, most or 0) > MOST_REPEATS:
        raise PatternError(f"more than {MOST_REPEATS} repeats", start)
    if most is not None and most < least:
        raise PatternError("fewer repeats at most than at least", start)
    return least, most


def _perl(char: str) -> Charset:
    return word() if char == "w" else unicode({"d": "nd", "s": "whitespace"}[char]) or ()


def _ascii(char: str) -> Charset:
    return posix({"d": "digit", "w": "word", "s": "space"}[char.lower()]) or ()
