"""Writes `src/nanocode/hot/unicode.dat`, the Unicode properties of patterns, as the installed `regex` has them.

Run it after an update of `regex` that brings a new Unicode. One text line a property, compressed with zlib:
its names, a colon, then in base 36 the steps from each bound of its ranges to the next; for `fold`, the groups of
characters that differ in case alone.
"""

import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import regex
from regex import _regex_core as core  # type: ignore[attr-defined]

TARGET = Path(__file__).parents[1] / "src/nanocode/hot/unicode.dat"
SCALARS = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
BINARY = {
    "alphabetic": r"\p{Alphabetic}",
    "lowercase": r"\p{Lowercase}",
    "uppercase": r"\p{Uppercase}",
    "whitespace": r"\p{White_Space}",
    "emoji": r"\p{Emoji}",
    "idstart": r"\p{ID_Start}",
    "idcontinue": r"\p{ID_Continue}",
    "xidstart": r"\p{XID_Start}",
    "xidcontinue": r"\p{XID_Continue}",
    "word": r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]",
}
GROUPS = {
    "letter": "l",
    "casedletter": "lc",
    "mark": "m",
    "number": "n",
    "punctuation": "p",
    "symbol": "s",
    "separator": "z",
    "other": "c",
}
# Single names that are both a category's and another property's stay the category's.
SKIPPED = {"surrogate", "cs", "unknown", "zzzz"}
# The dotted and the dotless i have no partner in simple case folding (CaseFolding.txt, status T).
TURKIC = {0x130, 0x131}


def base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = digits[number % 36]
    while number := number // 36:
        text = digits[number % 36] + text
    return text


def ranges(pattern: str) -> str:
    """The steps between the bounds of all ranges that `pattern` matches one character of."""
    steps: list[str] = []
    last = 0
    for found in regex.finditer(f"(?:{pattern})+", SCALARS):
        for bound in (ord(found[0][0]), ord(found[0][-1]) + 1):
            steps.append(base36(bound - last))
            last = bound
    return " ".join(steps)


def values(name: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias, value in core.PROPERTIES[name][1].items():
        found.setdefault(value, []).append(alias.lower())
    return found


def lines() -> Iterator[str]:
    taken: set[str] = set()
    for name, pattern in BINARY.items():
        yield f"{name}:{ranges(pattern)}"
        taken.add(name)
    for long, short in GROUPS.items():
        pattern = r"[\p{Lu}\p{Ll}\p{Lt}]" if short == "lc" else rf"\p{{{short}}}"
        yield f"{long},{short}:{ranges(pattern)}"
        taken |= {long, short}
    for kind in ("GENERALCATEGORY", "SCRIPT"):
        for names in values(kind).values():
            free = [name for name in names if name not in taken | SKIPPED]
            if free and len(steps := ranges(rf"\p{{{kind}={names[0]}}}")):
                yield f"{','.join(free)}:{steps}"
                taken.update(free)
    yield f"fold:{' '.join('-'.join(base36(code) for code in group) for group in folds())}"


def folds() -> Iterable[tuple[int, ...]]:
    cases = core._regex.get_all_cases
    groups = {tuple(sorted(set(cases(regex.I, code)) - TURKIC)) for code in map(ord, SCALARS)}
    return sorted(group for group in groups if len(group) > 1)


if __name__ == "__main__":
    TARGET.write_bytes(zlib.compress("\n".join(lines()).encode(), 9))
    print(f"{TARGET.name}: {TARGET.stat().st_size:,} bytes from regex {regex.__version__}", file=sys.stderr)
