"""Fuzzes both twins of the search against each other for some seconds: `python tests/fuzz_search.py [SECONDS [SEED]]`.

Prints the pattern and the bytes of the first difference, and exits with 1; the seed, also printed, repeats a run.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from nanocode._ext import search as native
from nanocode.hot import search as reference

PARTS = (
    "(?<=é|ab) (\\w+)\\s\\1 a*b(?=k) (..)\\1 (a|b)+\\1 (?i:(k|a)\\1) (?>a|ab) a*+ "
    "a b k S é 日 . \\w \\W \\s \\S \\d [ab] [^a] [^é-日] \\r needle abc ^ $ \\b \\B \\p{Greek} (?i:ks) \\A \\z "
    "\\n {} a{2} (a)\\1 (?=b) (?<!a) (?!k) a|b [[:alpha:]] \\x00 \\t ( ) [ ] * + ? { } , 1 2 | (?: (?i) \\"
)
ATOMS = PARTS.split(" ")
PIECES = [
    *(b"a b K s needle abc".split(b" ")),
    *(
        b" ",
        b"\t",
        b"_",
        b"1",
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"a" * 600,
        b"\xff",
        b"\xe4\xb8",
        b"\xed\xa0\x80",
        b"\x80",
    ),
    *(text.encode() for text in ("é", "日", "λ", "\u212a", "\u017f", "\x85", "日é" * 400)),
]
# What is read of a file at once, and what is printed of it.
EDGE = 256 << 10
SHOWN = 4000


def pattern(choose: random.Random, depth: int = 3) -> str:
    """Some pattern, often one that parses."""
    kind = choose.randrange(8) if depth else 0
    if kind < 3:
        return choose.choice(ATOMS)
    inner = pattern(choose, depth - 1)
    if kind < 6:
        return inner + pattern(choose, depth - 1)
    if kind == 6:
        return f"(?:{inner}|{pattern(choose, depth - 1)})"
    return f"(?:{inner}){choose.choice(['*', '+', '?', '{1,3}', '{2}', '*?'])}"


def text(choose: random.Random) -> bytes:
    head = choose.choice([b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"y" * 4000 + b"\n"])
    some = b"".join(choose.choices(PIECES, k=choose.choice([0, 3, 30, 300])))
    if choose.random() < 0.1:
        some = over_an_edge(choose, head, some)
    if choose.random() < 0.05:
        at = choose.randint(0, len(some))
        some = some[:at] + b"\0" + some[at:]
    return head + some


def over_an_edge(choose: random.Random, head: bytes, some: bytes) -> bytes:
    """`some` around the end of what is read at once: after one long line, or after many of odd lengths."""
    line = choose.choice([b"x", b"x a\n", b"abc x needle x\r\n", "é日".encode(), b"\xff"])
    before = EDGE * choose.choice([1, 1, 2]) - choose.randint(0, len(some) + 2) - len(head)
    filled = (line * (before // len(line) + 1))[:before]
    return filled + some + choose.choice([b"", b"\n", b"\r", b"x" * 3000, some])


def main(seconds: float, seed: int) -> int:
    print(f"seed {seed}")
    choose = random.Random(seed)
    end = time.monotonic() + seconds
    rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        while time.monotonic() < end:
            data = text(choose)
            path.write_bytes(data)
            for _ in range(20):
                asked = pattern(choose)
                options = {
                    "ignore_case": choose.random() < 0.3,
                    "multiline": choose.random() < 0.1,
                    "limit": choose.choice([None, None, 1, 3]),
                    "context": choose.choice([0, 0, 2]),
                    "mode": choose.choice(["lines", "lines", "lines", "files", "count"]),
                    "literal": choose.random() < 0.1,
                    "globs": choose.choice([(), (), ("f*",), ("!*e",)]),
                }
                if choose.random() < 0.1:
                    asked = rf"\b(?:{asked})\b"
                native.choose(choose.choice(native.isas()))
                ours, theirs = (twin.search(folder, asked, **options) for twin in (native, reference))
                rounds += 1
                if ours != theirs:
                    print(f"{asked!r} with {options} in {len(data):,} bytes, {data[:SHOWN]!r}")
                    print(f"native {ours}\npython {theirs}")
                    return 1
    print(f"{rounds:,} searches alike")
    return 0


if __name__ == "__main__":
    sys.exit(main(float((*sys.argv[1:], "60")[0]), int((*sys.argv[2:], time.time_ns())[0])))
