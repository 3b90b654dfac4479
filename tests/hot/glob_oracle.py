"""What a glob pattern means, by trying every way to read it; knows nothing of nanocode. For small patterns only."""

import string
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import strategies as st

POSIX = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(32), 127])),
    "digit": string.digits,
    "graph": string.ascii_letters + string.digits + string.punctuation,
    "lower": string.ascii_lowercase,
    "print": string.ascii_letters + string.digits + string.punctuation + " ",
    "punct": string.punctuation,
    "space": " \t\r\n",
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


class Token(NamedTuple):
    """`kind` is "char" with its text, "set" with its body, "one", "star", "any", "deep", or one of `{` `,` `}` `/`."""

    kind: str
    text: str = ""


def matches(pattern: str, path: bytes, *, anchored: bool = False) -> bool:
    """Whether `path` fits `pattern`; a slash at the pattern's end is not looked at."""
    tokens = list(_tokens(pattern))
    if tokens and tokens[-1] == Token("/"):
        tokens.pop()
    elif tokens and tokens[-1].kind == "deep":
        tokens[-1] = Token("any")
    if tokens[:2] == [Token("char", "."), Token("/")]:
        tokens, anchored = tokens[2:], True
    elif tokens[:1] == [Token("/")]:
        tokens, anchored = tokens[1:], True
    anchored = anchored or any(token.kind in ("/", "deep") or token == Token("char", "/") for token in tokens)
    text = path.decode("utf-8", "surrogateescape")
    subject = text if anchored else text.rpartition("/")[2]
    return any(_fits(choice, 0, subject, 0) for choice in _expanded(tokens))


def folders_only(pattern: str) -> bool:
    tokens = list(_tokens(pattern))
    return bool(tokens) and tokens[-1].kind in ("/", "deep")


def _tokens(pattern: str) -> Iterator[Token]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        stars = len(pattern) - at - len(pattern[at:].lstrip("*"))
        if char == "\\" and at + 1 < len(pattern):
            yield Token("char", pattern[at + 1])
            at += 2
        elif char == "[" and (end := _end_of_set(pattern, at)):
            yield Token("set", pattern[at + 1 : end - 1])
            at = end
        elif stars > 1 and pattern[at + stars : at + stars + 1] == "/":
            yield Token("deep")
            at += stars + 1
        elif stars:
            yield Token("any" if stars > 1 else "star")
            at += stars
        else:
            yield Token("one") if char == "?" else Token(char) if char in "{,}/" else Token("char", char)
            at += 1


def _end_of_set(pattern: str, at: int) -> int:
    """Where the set that opens at `at` ends, 0 when it is none."""
    at += 1
    at += pattern[at : at + 1] in ("!", "^")
    at += pattern[at : at + 1] == "]"
    while at < len(pattern):
        named = next((name for name in POSIX if pattern.startswith(f"[:{name}:]", at)), None)
        if named:
            at += len(named) + 4
        elif pattern[at] == "]":
            return at + 1
        elif pattern[at] == "\\":
            at += 2
        else:
            at += 1
    return 0


def _expanded(tokens: list[Token]) -> list[list[Token]]:
    """Every choice of alternatives, the leftmost closed group first; braces and commas left over are characters."""
    for opening, token in enumerate(tokens):
        if token.kind == "{" and (group := _group(tokens, opening)):
            closing, alternatives = group
            head, tail = tokens[:opening], tokens[closing + 1 :]
            return [choice for middle in alternatives for choice in _expanded([*head, *middle, *tail])]
        if token.kind == "{":
            tokens = [*tokens[:opening], Token("char", "{"), *tokens[opening + 1 :]]
    return [[Token("char", token.kind) if token.kind in ("{", ",", "}", "/") else token for token in tokens]]


def _group(tokens: list[Token], opening: int) -> tuple[int, list[list[Token]]] | None:
    """Where the group that opens at `opening` closes, and its alternatives; None when it does not close or is `{}`."""
    depth, commas = 0, [opening]
    for at in range(opening, len(tokens)):
        kind = tokens[at].kind
        depth += (kind == "{") - (kind == "}")
        if kind == "," and depth == 1:
            commas.append(at)
        if depth == 0:
            if at == opening + 1:
                return None
            ends = [*commas[1:], at]
            return at, [tokens[start + 1 : end] for start, end in zip(commas, ends, strict=True)]
    return None


def _fits(tokens: list[Token], at: int, text: str, place: int) -> bool:
    """Whether `tokens[at:]` take all of `text[place:]`."""
    if at == len(tokens):
        return place == len(text)
    kind, value = tokens[at]
    if kind in ("star", "any", "deep"):
        return any(_fits(tokens, at + 1, text, stop) for stop in _stops(tokens, at, text, place))
    if place == len(text):
        return False
    char = text[place]
    fits = char == value if kind == "char" else char != "/" and (kind == "one" or _member(value, char))
    return fits and _fits(tokens, at + 1, text, place + 1)


def _stops(tokens: list[Token], at: int, text: str, place: int) -> list[int]:
    """Where the run `tokens[at]` that starts at `place` may end."""
    every = range(place, len(text) + 1)
    if tokens[at].kind == "any":
        return list(every)
    if tokens[at].kind == "star":
        return [stop for stop in every if "/" not in text[place:stop]]
    starts_name = at == 0 or tokens[at - 1] == Token("char", "/") or tokens[at - 1].kind == "deep"
    return [stop for stop in every if text[place:stop].endswith("/") or (starts_name and stop == place)]


def _member(body: str, char: str) -> bool:
    negated = body[0] in "!^"
    body = body[negated:]
    found = False
    at = 0
    while at < len(body):
        named = next((name for name in POSIX if body.startswith(f"[:{name}:]", at)), None)
        if named:
            found = found or char in POSIX[named]
            at += len(named) + 4
            continue
        first, at = _literal(body, at)
        last = first
        if (
            body[at : at + 1] == "-"
            and at + 1 < len(body)
            and not any(body.startswith(f"[:{n}:]", at + 1) for n in POSIX)
        ):
            last, at = _literal(body, at + 1)
        found = found or first <= char <= last
    return found is not negated


def _literal(body: str, at: int) -> tuple[str, int]:
    at += body[at] == "\\" and at + 1 < len(body)
    return body[at], at + 1


NAMES = st.text("ab.c-!é\udcff", min_size=1, max_size=3)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).map(lambda path: path.encode("utf-8", "surrogateescape"))
_PIECES = r"a b ab . c - ! é * * ** ? / / **/ **/ { { } } , , [ ] \ \/ \* \{ \, */ ./ {a,b} {a} {} {,a}"
_SETS = r"[ab] [!a] [^a] [a-c] []a] [a- [!]a] [[:alpha:]] [[:foo:]] [/] [a/b] [{,}] [\]] [é] [a-é] [z-a] [a-] [-a]"
_ATOMS = st.sampled_from([*_PIECES.split(), *_SETS.split(), "\udcff", "[\udc80-\udcff]"])
PATTERNS = st.lists(_ATOMS, min_size=0, max_size=8).map("".join)
