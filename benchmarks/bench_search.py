"""Search: our call in process against ripgrep and others as processes whose output is read, on trees and a large file.

Run `python benchmarks/bench_search.py TREE --rg PATH`, with `--record` to keep the figures under `runs/`. TREE is a
Linux source tree for the figures in the README: unpack Debian's `linux-source`, take the `/*` at the end of its
`.gitignore` away, which ignores everything, and put an empty file `.git` beside it. Without TREE a small tree is made.
The newest ripgrep comes with the npm package `@vscode/ripgrep`. Contenders that are not installed are left out.

The lines that the contenders find must be the same, of the files that ignore rules leave. What differs by design:

- ugrep's `\\s` matches newlines, so that one match of it may span lines.
- ripgrep stops at any 100 matches, ours is the first 100 in path order, as those of `rg --sort path` are.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter

import compare
import contest
import trees
from nanocode._ext.search import search as native
from nanocode._ext.walk import walk

from nanocode.hot.search import Search
from nanocode.hot.search import search as python

try:
    import python_ripgrep
except ImportError:
    python_ripgrep = None

Found = set[tuple[bytes, int]]
Run = Callable[[], object]

SPANS = {"ugrep": r"its `\s` matches newlines"}
ALL = ("twin", "loop", "ugrep", "grep", "git grep", "python-ripgrep")


@dataclass(frozen=True, slots=True)
class Case:
    """A pattern as we spell it, the flags that make ripgrep mean the same, and who else takes part."""

    name: str
    pattern: str
    flags: tuple[str, ...] = ()
    theirs: str = ""
    ignore_case: bool = False
    others: tuple[str, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()


SPACED = r"\w{5}" + r"\s+\w{5}" * 4
FOUR = "ERR_SYS|PME_TURN_OFF|LINK_REQ_RST|CFG_BME_EVT"
# The first eight are those of ripgrep's own benchsuite on Linux.
CASES = [
    Case("literal", "PM_RESUME", others=ALL),
    Case("literal, ignore case", "PM_RESUME", ("-i",), ignore_case=True, others=ALL[2:]),
    Case("word", r"\bPM_RESUME\b", ("-w",), "PM_RESUME"),
    Case("suffix of a class", "[A-Z]+_RESUME", others=("python-ripgrep",)),
    Case("alternation", FOUR, others=ALL[2:]),
    Case("alternation, ignore case", FOUR, ("-i",), ignore_case=True),
    Case("Greek", r"\p{Greek}", others=("ugrep", "python-ripgrep")),
    Case("no literal", SPACED, others=("twin", "ugrep", "git grep", "python-ripgrep"), apart=tuple(SPANS.items())),
    Case("many lines", "static int"),
    Case("no match", "NO_SUCH_NAME_ANYWHERE", others=ALL),
    Case("sorted by path", "PM_RESUME", ("--sort", "path")),
    Case("look-around", r"(?<!S)PM_RESUME", ("-P",)),
    Case("back-reference", r"(\w{4})_\1_", ("-P",)),
]
CAPPED = ("--max-columns", "500", "--max-columns-preview")
PACKAGES = [
    Case("packages, literal", r"createElement\(null\)", CAPPED),
    Case("packages, class", r"[a-z]+Element\b", CAPPED, others=("ugrep", "grep", "python-ripgrep")),
    Case("packages, no match", "NO_SUCH_NAME_ANYWHERE", CAPPED, others=("twin", "loop", "ugrep", "grep")),
]
LOG = [
    Case("large file, literal", "PM_RESUME", others=("ugrep", "grep", "python-ripgrep")),
    Case("large file, no literal", SPACED, others=("ugrep",), apart=tuple(SPANS.items())),
    Case("large file, Greek", r"\p{Greek}", others=("ugrep",)),
]
SIZES = (15, 51, 562, 5695)
# The second is in few folders, and those come late.
FIRST = {"a common word": "return", "a phrase": "static int", "a rare word": "snd_soc_dapm_add_routes"}


class Contenders:
    """Ways to search one tree."""

    def __init__(self, tree: Path, rg: str, repository: Path) -> None:
        self.tree = tree
        self.rg = rg
        self.listed = {entry.path for entry in walk(str(tree), kinds="files").entries}
        # Any repository will do: git grep goes by the files, and by the tree's own rules.
        self._git = ("git", f"--git-dir={repository}", f"--work-tree={tree}", "-c", "core.quotePath=off")

    def of(self, case: Case) -> dict[str, Run]:
        """All that take part in a case, and are installed, ours first."""
        fold = ("-i",) if case.ignore_case else ()
        wanted = (*fold, "-e", case.pattern)
        ways: dict[str, Run] = {
            "twin": lambda: self.twin(case),
            "loop": lambda: self.loop(case),
            "ugrep": self.program("ugrep", "-rnI", "--ignore-files", *wanted, "./"),
            "grep": self.program("grep", "-rnIE", *wanted, "./"),
            "git grep": self.program(
                *self._git, "grep", "--no-index", "--exclude-standard", "-nIE", *wanted, "--", "./"
            ),
            "python-ripgrep": lambda: self.bound(case),
        }
        missing = {name for name in ("ugrep", "grep") if not shutil.which(name)}
        missing |= set() if python_ripgrep else {"python-ripgrep"}
        chosen = {NAMES.get(name, name): ways[name] for name in case.others if name not in missing}
        return {"nanocode": lambda: self.ours(case), "ripgrep": self.program(*self.command(case)), **chosen}

    def ours(self, case: Case, limit: int | None = None) -> Search:
        return native(str(self.tree), case.pattern, ignore_case=case.ignore_case, limit=limit)

    def command(self, case: Case) -> tuple[str, ...]:
        return (self.rg, "--no-config", "--no-heading", "-n", *case.flags, "-e", case.theirs or case.pattern, "./")

    def program(self, *command: str) -> Run:
        def run() -> bytes:
            environ = {**os.environ, "LC_ALL": "C.UTF-8"}
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            try:
                done = subprocess.run(command, cwd=self.tree, env=environ, timeout=contest.BUDGET_SECONDS, **pipes)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError from error
            return done.stdout

        return run

    def twin(self, case: Case) -> Search:
        stop = bytearray(1)
        timer = threading.Timer(contest.BUDGET_SECONDS, stop.__setitem__, (0, 1))
        timer.start()
        answer = python(str(self.tree), case.pattern, ignore_case=case.ignore_case, stop=stop)
        timer.cancel()
        if answer.stopped:
            raise TimeoutError
        return answer

    def loop(self, case: Case) -> Found:
        """What a script does: each file, line by line, with `re`."""
        wanted = re.compile(case.pattern, re.IGNORECASE if case.ignore_case else 0)
        found: Found = set()
        end = perf_counter() + contest.BUDGET_SECONDS
        for path in self.tree.glob("**/*"):
            if perf_counter() > end:
                raise TimeoutError
            if path.is_symlink() or not path.is_file():
                continue
            name = os.fsencode(path.relative_to(self.tree))
            with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
                found |= {(name, number) for number, line in enumerate(file, 1) if wanted.search(line)}
        return found

    def bound(self, case: Case) -> list[str]:
        pattern = f"(?i){case.pattern}" if case.ignore_case else case.pattern
        return python_ripgrep.search([pattern], [f"{self.tree}/"], line_number=True)

    def lines(self, result: object) -> Found:
        """What a contender found, in the files that ignore rules leave."""
        if isinstance(result, Search):
            return {(each.path, line.number) for each in result.files for line in each.lines}
        if isinstance(result, list):
            result = "\n".join(result).replace(f"{self.tree}/", "").encode("utf-8", "surrogateescape")
        if isinstance(result, bytes):
            places = re.finditer(rb"^(?:\./)?([^:\0\n]+):(\d+):", result, re.MULTILINE)
            result = {(place[1], int(place[2])) for place in places}
        return {(path, number) for path, number in result if path in self.listed}  # type: ignore[attr-defined]

    def first(self, case: Case, limit: int) -> dict[str, Run]:
        def ripgrep(case: Case) -> bytes:
            with subprocess.Popen(self.command(case), cwd=self.tree, stdout=subprocess.PIPE) as process:
                lines = list(islice(process.stdout or (), limit))
                process.kill()
            return b"".join(lines)

        # In path order it gives the same lines as ours, which is what an answer that does not change needs.
        ordered = replace(case, flags=("--sort", "path"))
        return {
            "nanocode": lambda: self.ours(case, limit),
            "ripgrep": lambda: ripgrep(case),
            "ripgrep --sort path": lambda: ripgrep(ordered),
        }


NAMES = {"twin": "nanocode, Python twin", "loop": "Python's re, line by line"}


def raced(ways: Contenders, cases: list[Case], rounds: int) -> Iterator[contest.Figure]:
    for case in cases:
        racers, apart = ways.of(case), dict(case.apart)
        yield from shown(contest.contest(case.name, racers, normal=ways.lines, apart=apart, rounds=rounds))


def shown(figures: list[contest.Figure]) -> list[contest.Figure]:
    print(contest.table(figures), flush=True)
    return figures


def first_hits(ways: Contenders, rounds: int) -> Iterator[contest.Figure]:
    for name, word in FIRST.items():
        case = Case(f"first 100 of {name}", word)
        apart = {"ripgrep": "it stops at any 100"}
        racers = ways.first(case, 100)
        yield from shown(contest.contest(case.name, racers, normal=ways.lines, apart=apart, rounds=rounds))


MEASURE = """
import re, sys
from nanocode._ext.search import search
def size(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
open("/proc/self/clear_refs", "w").write("5")
before = size("VmRSS")
search(sys.argv[1], sys.argv[2], limit=100)
print(size("VmHWM") - before)
"""


def memory(tree: Path, pattern: str) -> float:
    """By how many MB a search for 100 matches makes a Python of its own grow, at most."""
    command = (sys.executable, "-c", MEASURE, str(tree), pattern)
    return round(float(subprocess.run(command, capture_output=True, check=True).stdout), 1)


def versions(rg: str) -> dict[str, str]:
    programs = {"ripgrep": rg, "ugrep": "ugrep", "GNU grep": "grep", "git": "git"}
    found = {}
    for name, program in programs.items():
        if shutil.which(program):
            output = subprocess.run((program, "--version"), capture_output=True, text=True, check=True).stdout
            found[name] = (re.search(r"\d+(?:\.\d+)+", output) or [""])[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", nargs="?", type=Path)
    parser.add_argument("--rg", default=shutil.which("rg"), help="ripgrep to compare with")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    parser.add_argument("--case", action="append", help="only cases whose name has this in it")
    parser.add_argument("--packages", type=int, default=60_000, help="files of the tree of packages")
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the large file")
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    options = parser.parse_args()
    if not options.rg:
        parser.error("needs ripgrep; say where with `--rg`")
    rg = os.path.abspath(options.rg)

    def chosen(cases: list[Case]) -> list[Case]:
        return [case for case in cases if not options.case or any(part in case.name for part in options.case)]

    found: list[contest.Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run(("git", "init", "-q", "--bare", place / "empty"), check=True)

        def ways(tree: Path) -> Contenders:
            return Contenders(tree, rg, place / "empty")

        tree = options.tree or trees.sources(place / "sources", 4000)
        found += raced(ways(tree), chosen(CASES), options.rounds)
        if chosen([Case("first", "")]):
            found += first_hits(ways(tree), options.rounds)
        for size in SIZES:
            if cases := chosen([Case(f"{size} files", "PM_RESUME", others=("twin", "loop"))]):
                found += raced(ways(trees.sources(place / str(size), size)), cases, options.rounds)
        if cases := chosen(PACKAGES):
            found += raced(ways(trees.packages(place / "packages", options.packages)), cases, options.rounds)
        if cases := chosen(LOG):
            (place / "large").mkdir()
            found += raced(ways(trees.log(place / "large", options.megabytes)), cases, options.rounds)
        grown = {pattern: memory(tree, pattern) for pattern in ("PM_RESUME", SPACED, "static int")}
        print("MB more for 100 matches:", grown)
        if options.record:
            facts = {"files": len(ways(tree).listed), "megabytes_for_100_matches": grown}
            print(compare.record("search", found, versions(rg), part=bool(options.case), **facts))


if __name__ == "__main__":
    main()
