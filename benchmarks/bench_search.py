"""Search: our call in process against ripgrep and others as processes whose output is read, on a tree of sources.

Run `python benchmarks/bench_search.py TREE --rg PATH`, with `--record` to keep the figures under `runs/`. TREE is a
Linux source tree for the figures in the README: unpack Debian's `linux-source`, take the `/*` at the end of its
`.gitignore` away, which ignores everything, and put an empty file `.git` beside it. Without TREE a small tree is made.
The newest ripgrep comes with the npm package `@vscode/ripgrep`. Before any clock runs, the lines that each contender
finds must be the same; samples are interleaved, and a ratio is the median of the ratios within one round.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter

import compare
from nanocode._ext.search import search as native

from nanocode.hot.search import search as python

Found = set[tuple[bytes, int]]


@dataclass(frozen=True, slots=True)
class Case:
    """A pattern as we spell it, and the flags that make ripgrep mean the same."""

    name: str
    pattern: str
    flags: tuple[str, ...] = ()
    theirs: str = ""
    ignore_case: bool = False

    def command(self, rg: str) -> list[str]:
        return [rg, "--no-config", "--no-heading", "-n", *self.flags, "-e", self.theirs or self.pattern, "./"]


SPACED = r"\w{5}" + r"\s+\w{5}" * 4
FOUR = "ERR_SYS|PME_TURN_OFF|LINK_REQ_RST|CFG_BME_EVT"
# The first eight are those of ripgrep's own benchsuite on Linux.
CASES = [
    Case("literal", "PM_RESUME"),
    Case("literal, ignore case", "PM_RESUME", ("-i",), ignore_case=True),
    Case("word", r"\bPM_RESUME\b", ("-w",), "PM_RESUME"),
    Case("suffix of a class", "[A-Z]+_RESUME"),
    Case("alternation", FOUR),
    Case("alternation, ignore case", FOUR, ("-i",), ignore_case=True),
    Case("Greek", r"\p{Greek}"),
    Case("no literal", SPACED),
    Case("many lines", "static int"),
    Case("no match", "NO_SUCH_NAME_ANYWHERE"),
    Case("sorted by path", "PM_RESUME", ("--sort", "path")),
    Case("look-around", r"(?<!S)PM_RESUME", ("-P",)),
    Case("back-reference", r"(\w{4})_\1_", ("-P",)),
]


def made(folder: Path) -> Path:
    """A tree of sources where there is none to take, the same each time."""
    choose = random.Random(7)
    words = ["static", "int", "return", "struct", "PM_RESUME", "SYS_RESUME", "ERR_SYS", "hello", "λόγος", "abcd_abcd_"]
    common = [*words[:4], "if (x)", "{", "}", "value", "0x20", "index", "buffer"]
    for number in range(4000):
        path = folder / f"dir{number % 61}" / f"sub{number % 7}" / f"file{number}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (" ".join(choose.choices(common, k=8)) for _ in range(choose.randrange(10, 600)))
        rare = choose.choice(words) if choose.random() < 0.05 else ""
        path.write_text("\n".join(lines) + f"\n{rare}\n", encoding="utf-8")
    (folder / ".git").touch()
    return folder


def lines_of(output: bytes) -> Found:
    return {(match[1], int(match[2])) for match in re.finditer(rb"^(?:\./)?([^:\0]+):(\d+):", output, re.MULTILINE)}


def our_lines(tree: Path, case: Case, search: Callable[..., object]) -> Found:
    answer = search(str(tree), case.pattern, ignore_case=case.ignore_case)
    return {(each.path, line.number) for each in answer.files for line in each.lines}  # type: ignore[attr-defined]


def processor_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def sample(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processors."""
    used, start = processor_seconds(), perf_counter()
    run()
    return perf_counter() - start, processor_seconds() - used


def figures(tree: Path, rg: str, rounds: int, cases: list[Case], twin: bool) -> Iterator[compare.Figure]:
    for case in cases:

        def ripgrep(case: Case = case) -> bytes:
            return subprocess.run(case.command(rg), cwd=tree, capture_output=True, stdin=subprocess.DEVNULL).stdout

        def ours(case: Case = case) -> object:
            return native(str(tree), case.pattern, ignore_case=case.ignore_case)

        contenders: dict[str, Callable[[], object]] = {"nanocode": ours, "ripgrep": ripgrep}
        mine, theirs = our_lines(tree, case, native), lines_of(ripgrep())
        if mine != theirs:
            print(f"{case.name}: {len(mine - theirs)} lines only ours, {len(theirs - mine)} only ripgrep's")
            print("   ", *sorted(mine ^ theirs)[:3])
        if twin:
            compare.require_equal(case.name, {"native": mine, "python": our_lines(tree, case, python)})
            contenders["nanocode, Python twin"] = lambda case=case: our_lines(tree, case, python)
        yield from timed(case.name, contenders, rounds)


def timed(name: str, contenders: dict[str, Callable[[], object]], rounds: int) -> Iterator[compare.Figure]:
    samples: dict[str, list[tuple[float, float]]] = {each: [] for each in contenders}
    for index in range(rounds):
        names = list(contenders)
        for each in names[index % len(names) :] + names[: index % len(names)]:
            samples[each].append(sample(contenders[each]))
    ours = samples["nanocode"]
    for each, found in samples.items():
        ratio = median(one[0] / own[0] for one, own in zip(found, ours, strict=True))
        used = median(own[1] / max(one[1], 1e-9) for one, own in zip(found, ours, strict=True))
        yield compare.Figure(name, each, median(one[0] for one in found), round(ratio, 2), None)
        print(f"{name:28} {each:24} {median(one[0] for one in found) * 1e3:8.1f} ms {ratio:6.2f}  our CPU {used:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", nargs="?", type=Path)
    parser.add_argument("--rg", default=shutil.which("rg") or "rg", help="ripgrep to compare with")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", action="append", help="only cases whose name has this in it")
    parser.add_argument("--twin", action="store_true", help="the Python twin too; it takes minutes")
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.case or any(part in case.name for part in options.case)]
    version = subprocess.run([options.rg, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    with tempfile.TemporaryDirectory() as folder:
        tree = options.tree or made(Path(folder))
        found = list(figures(tree, os.path.abspath(options.rg), options.rounds, cases, options.twin))
    if options.record:
        print(compare.record("search", found, {"ripgrep": version}))


if __name__ == "__main__":
    main()
