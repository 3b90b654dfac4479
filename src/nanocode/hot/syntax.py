"""The tree of a regular expression, with every set of characters spelled out; knows nothing of its text.

Trees are tuples: comparable, hashable, and read by the engines with `match`.
"""

from typing import Literal, NamedTuple

from nanocode.hot.charset import SCALARS, Charset, fold

Edge = Literal["line start", "line end", "text start", "text end", "word edge", "no word edge"]


class Chars(NamedTuple):
    """One character of a set."""

    members: Charset


class Sequence(NamedTuple):
    items: tuple["Node", ...]


class Choice(NamedTuple):
    items: tuple["Node", ...]


class Repeat(NamedTuple):
    """`least` to `most` times, without bound when None; `manner` is how Python spells it: "", "?" or "+"."""

    item: "Node"
    least: int
    most: int | None
    manner: str


class At(NamedTuple):
    """A place between characters."""

    edge: Edge


class Group(NamedTuple):
    item: "Node"
    number: int


class Look(NamedTuple):
    """Look-around: `opening` is how Python spells it, without the parenthesis (`?=`, `?!`, `?<=`, `?<!`)."""

    item: "Node"
    opening: str


class Atomic(NamedTuple):
    item: "Node"


class Back(NamedTuple):
    """What group `number` matched; `folded` when case does not count."""

    number: int
    folded: bool


class If(NamedTuple):
    """`yes` when group `number` has matched, else `no`."""

    number: int
    yes: "Node"
    no: "Node"


Node = Chars | Sequence | Choice | Repeat | At | Group | Look | Atomic | Back | If

EMPTY = Sequence(())


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below `node`."""
    match node:
        case Sequence(items) | Choice(items):
            return items
        case Repeat(item) | Group(item) | Look(item) | Atomic(item):
            return (item,)
        case If(_, yes, no):
            return (yes, no)
    return ()


def every(node: Node) -> list[Node]:
    """`node` and all below it."""
    found = [node]
    for each in found:
        found += children(each)
    return found


def regular(node: Node) -> bool:
    """Whether a finite automaton can decide it: no look-around, back-reference, condition or atomic part."""
    irregular = (Look, Back, Atomic, If)
    return not any(
        isinstance(each, irregular) or (isinstance(each, Repeat) and each.manner == "+") for each in every(node)
    )


def rebuilt(node: Node, items: list[Node]) -> Node:
    """`node` with other children."""
    match node:
        case Sequence():
            return Sequence(tuple(items))
        case Choice():
            return Choice(tuple(items))
        case If(number):
            return If(number, *items)
        case Repeat() | Group() | Look() | Atomic():
            return node._replace(item=items[0])
    return node


def relaxed(node: Node) -> Node:
    """A regular tree that matches wherever `node` does, and elsewhere too when `node` is not regular."""
    groups = {each.number: _unanchored(each.item) for each in every(node) if isinstance(each, Group)}
    # A group that refers to others could double in size with each of them: it is taken for anything.
    nested = {number for number, item in groups.items() if any(isinstance(each, Back | If) for each in every(item))}
    anything = Repeat(Chars(SCALARS), 0, None, "")
    return _relaxed(node, groups | dict.fromkeys(nested, anything), False)


def _unanchored(node: Node) -> Node:
    """What a group can have matched: a back-reference repeats its characters, wherever its anchors would hold."""
    return EMPTY if isinstance(node, At) else rebuilt(node, [_unanchored(each) for each in children(node)])


def _relaxed(node: Node, groups: dict[int, Node], folded: bool) -> Node:
    match node:
        case Look():
            return EMPTY
        case Back(number, caseless):
            return _relaxed(groups[number], groups, folded or caseless)
        case If(_, yes, no):
            return Choice((_relaxed(yes, groups, folded), _relaxed(no, groups, folded)))
        case Group(item) | Atomic(item):
            return _relaxed(item, groups, folded)
        case Chars(members) if folded:
            return Chars(fold(members))
    return rebuilt(node, [_relaxed(each, groups, folded) for each in children(node)])


_MIRRORED: dict[Edge, Edge] = {
    "line start": "line end",
    "line end": "line start",
    "text start": "text end",
    "text end": "text start",
}


def mirrored(node: Node) -> Node:
    """The tree that matches the reversed text; only of a regular one."""
    if isinstance(node, At):
        return At(_MIRRORED.get(node.edge, node.edge))
    items = [mirrored(each) for each in children(node)]
    return rebuilt(node, items[::-1] if isinstance(node, Sequence) else items)
