"""Edits: 10 MB files against `difflib`, the search for the nearest region against aider's way and rapidfuzz.

Run `python benchmarks/bench_edits.py`, with `--record` to keep the figures under `runs/`; needs the extra `bench`.
The text is the source of Python's own library without its tables, where one block is like a hundred others.
Before any clock runs, generated edits are checked: none in a wrong place, no byte changed outside its span.
"""

import argparse
import random
import re
import sysconfig
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher, unified_diff
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import compare
import nanocode._ext.edits as native
from rapidfuzz import fuzz, process

import nanocode.hot.edits as python
from nanocode.errors import EditError

MEGABYTES = 10
BLOCK = 20
ALIKE = 0.6
# Lines beyond which aider's way takes minutes for what it is to be compared with.
SLOW = 10_000
Region = tuple[int, int]


def sources() -> list[str]:
    """The lines of the library, files in an order of chance that is always the same."""
    root = Path(sysconfig.get_paths()["stdlib"])
    left_out = {"encodings", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests", "turtledemo"}
    paths = sorted(path for path in root.rglob("*.py") if not left_out & set(path.relative_to(root).parts))
    random.Random(1).shuffle(paths)
    return [line for path in paths for line in path.read_text("utf-8", "replace").splitlines()]


def mutated(rng: random.Random, block: Sequence[str], rate: float) -> list[str]:
    """The block as a model remembers it: words changed, lines lost, added and moved to the right."""
    changed: list[str] = []
    for line in block:
        words = line.split(" ")
        place = rng.randrange(len(line) + 1)
        ways = [
            [f"    {line}"],
            [],
            [line, f"    # note {rng.randrange(99)}"],
            [" ".join("changed" if word is words[-1] else word for word in words)],
            [line.replace("self", "this").replace("'", '"')],
            [line[:place] + "xyz" + line[place + 2 :]],
        ]
        changed += rng.choice(ways) if rng.random() < rate else [line]
    return changed


def by_difflib(lines: list[str], block: list[str]) -> Region | None:
    """Aider's way: the run of as many lines whose list is most like the block's, if it is like enough."""
    matcher = SequenceMatcher(None, [], block, autojunk=False)
    best, where = ALIKE, None
    for start in range(len(lines) - len(block) + 1):
        matcher.set_seq1(lines[start : start + len(block)])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and (like := matcher.ratio()) > best:
            best, where = like, (start, start + len(block) - 1)
    return where


def by_rapidfuzz(lines: list[str], block: list[str]) -> Region | None:
    """The places where the three longest lines are found best; of these the one whose lines are most alike."""
    places = set()
    for at in sorted(range(len(block)), key=lambda each: -len(block[each]))[:3]:
        found = process.extractOne(block[at], lines, scorer=fuzz.ratio, score_cutoff=100 * ALIKE)
        places |= {max(0, found[2] - at)} if found else set()

    def worth(start: int) -> float:
        return sum(fuzz.ratio(one, other) for one, other in zip(block, lines[start:], strict=False))

    return max(((start, start + len(block) - 1) for start in places), key=lambda each: worth(each[0]), default=None)


def by_nanocode(search: Callable[[bytes, bytes], Region | None], data: bytes, block: list[str]) -> Region | None:
    found = search(data, "\n".join(block).encode())
    return found and found[:2]


def right(region: Region | None, start: int) -> bool:
    """Whether most of the region is the block at `start`."""
    if region is None:
        return False
    shared = min(region[1] + 1, start + BLOCK) - max(region[0], start)
    return shared * 2 > max(region[1] + 1, start + BLOCK) - min(region[0], start)


def found_in(lines: list[str], rate: float, count: int, slow: int) -> None:
    """How many changed blocks each contender finds; aider's way takes its time and gets the first few."""
    rng = random.Random(2)
    starts = [rng.randrange(len(lines) - BLOCK) for _ in range(count)]
    blocks = [mutated(rng, lines[start : start + BLOCK], rate) for start in starts]
    data = "\n".join(lines).encode()
    for name, find, tries in (
        ("nanocode", partial(by_nanocode, native.nearest, data), count),
        ("rapidfuzz", partial(by_rapidfuzz, lines), slow),
        ("difflib, aider's way", partial(by_difflib, lines), slow if len(lines) <= SLOW else 0),
    ):
        tried = list(islice(zip(starts, blocks, strict=True), tries))
        hits = sum(right(find(block), start) for start, block in tried)
        if tried:
            print(f"{len(lines)} lines, {rate:.0%} of lines changed: {name} finds {hits} of {len(tried)}")


def hints(lines: list[str], count: int, rounds: int) -> list[compare.Figure]:
    lines = lines[:count]
    start = count * 3 // 5
    block = mutated(random.Random(3), lines[start : start + BLOCK], 0.2)
    data = "\n".join(lines).encode()
    contenders = {
        "nanocode": lambda: by_nanocode(native.nearest, data, block),
        "nanocode, Python twin": lambda: by_nanocode(python.nearest, data, block),
        "rapidfuzz": lambda: by_rapidfuzz(lines, block),
    }
    if count <= SLOW:
        contenders["difflib, aider's way"] = lambda: by_difflib(lines, block)
    case = f"hint in {count} lines"
    return compare.compare(case, contenders, size=len(data), normal=lambda found: right(found, start), rounds=rounds)


def edited(twin: object, data: bytes, edits: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
    splices = twin.plan(data, edits)
    return twin.apply(data, splices), twin.diff(data, splices, "a.py")


def by_replace(data: bytes, edits: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
    """What a plain tool does: count, replace, and let `difflib` find out what was changed."""
    text = before = data.decode()
    for old, new in edits:
        if before.count(old) != 1:
            raise ValueError(old)
        text = text.replace(old, new)
    lines = before.splitlines(keepends=True), text.splitlines(keepends=True)
    return text.encode(), "".join(unified_diff(*lines, "a.py", "a.py"))


def grown(lines: list[str], megabytes: int) -> list[str]:
    """The lines over and over, up to that size."""
    text = "\n".join(lines)
    return (text * (megabytes * 1_000_000 // len(text) + 1))[: megabytes * 1_000_000].split("\n")


def large(lines: list[str], number: int, end: str, rounds: int, megabytes: int) -> list[compare.Figure]:
    """Edits of three lines each, spread over so much text; all are unique."""
    lines = grown(lines, megabytes)
    edits = []
    for each in range(number):
        place = len(lines) * (2 * each + 1) // (2 * number)
        lines[place] = f"    marked_{each} = value({each})"
        old = end.join(lines[place - 1 : place + 2])
        edits.append((old, old.replace("value", "other")))
    data = end.join(lines).encode()
    contenders = {
        "nanocode": lambda: edited(native, data, edits),
        "nanocode, Python twin": lambda: edited(python, data, edits),
    }
    if end == "\n":
        contenders["replace + difflib"] = lambda: by_replace(data, edits)
    case = f"{megabytes} MB, {number} edits, {'CRLF' if end != chr(10) else 'LF'}"
    return compare.compare(case, contenders, size=len(data), normal=lambda done: done[0], rounds=rounds)


def loose(lines: list[str], rounds: int, megabytes: int) -> list[compare.Figure]:
    lines = grown(lines, megabytes)
    place = len(lines) // 2
    lines[place] = "    marked = value()"
    old = "\n".join(lines[place - 5 : place + 5])
    crlf = "\r\n".join(lines).encode()
    lines[place] += "  "
    found = []
    for case, data in (("CRLF, asked for LF", crlf), ("trailing spaces", "\n".join(lines).encode())):
        edits = [(old, old.replace("value", "other"))]
        contenders = {
            "nanocode": lambda data=data, edits=edits: edited(native, data, edits),
            "nanocode, Python twin": lambda data=data, edits=edits: edited(python, data, edits),
        }
        found += compare.compare(f"{megabytes} MB, {case}", contenders, size=len(data), rounds=rounds)
    return found


def bare(text: bytes) -> list[bytes]:
    return [line.rstrip() for line in re.split(rb"\r\n|\r|\n", text)]


def checked(lines: list[str], count: int) -> str:
    """Try edits on pieces of files of all kinds; raise where one was done in a wrong place or changed other bytes."""
    rng = random.Random(4)
    done = refused = 0
    for _ in range(count):
        start = rng.randrange(len(lines) - 200)
        # Not LF and CR together: an empty line could make a CRLF of its neighbour's end and its own.
        ends = rng.choice([("\n",), ("\r\n",), ("\r",), ("\n", "\r\n"), ("\r", "\r\n")])
        raw = [line.encode("latin-1", "replace") + rng.choice((b"", b"", b" ", b"\t")) for line in lines[start:][:200]]
        raw = [line + rng.choice(ends).encode() for line in raw]
        first, size, rate = rng.randrange(180), rng.randrange(1, BLOCK), rng.choice((0, 0, 0.1))
        block = [line.decode("latin-1").rstrip() for line in raw[first : first + size]]
        old = "\n".join(mutated(rng, block, rate))
        data, low = b"".join(raw), len(b"".join(raw[:first]))
        new = old.replace("e", "$&") + "\n\\1"
        try:
            (splice,) = native.plan(data, [(old, new)])
        except EditError:
            refused += 1
            continue
        after = native.apply(data, [splice])
        tail = len(data) - splice.end
        assert after[: splice.start] == data[: splice.start] and after[len(after) - tail :] == data[splice.end :]
        assert bare(data[splice.start : splice.end]) == bare(old.encode()), (old, splice)
        # A text that is twice there but for its trailing spaces belongs where it has none.
        only = b"\n".join(bare(data)).count(b"\n".join(bare(old.encode()))) == 1
        assert rate or not only or low - 2 <= splice.start <= low + len(raw[first]), (old, splice)
        done += 1
    return f"{count} generated edits: {done} done, {refused} refused, 0 in a wrong place, 0 foreign bytes changed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="size of the large files")
    options = parser.parse_args()
    lines = sources()
    print(checked(lines, 5000))
    for rate in (0.2, 0.5):
        found_in(lines[:10_000], rate, 200, 30)
        found_in(lines[:50_000], rate, 200, 5)
    found = [each for count in (10_000, 50_000) for each in hints(lines, count, min(3, options.rounds))]
    for number, end in ((1, "\n"), (10, "\n"), (1, "\r\n"), (10, "\r\n")):
        found += large(lines, number, end, min(3, options.rounds), options.megabytes)
    found += loose(lines, options.rounds, options.megabytes)
    print(compare.table(found))
    if options.record:
        print(compare.record("edits", found, {name: version(name) for name in ("nanocode", "rapidfuzz")}))


if __name__ == "__main__":
    main()
