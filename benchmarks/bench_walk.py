"""Times listing a tree against ripgrep, fd, git and the plain Python way, each read through a pipe as agents do.

Run `python benchmarks/bench_walk.py TREE --rg PATH`, with `--record` to keep the figures under `runs/`. TREE is as in
`bench_search.py`, and so is ripgrep; `--fd` is Debian's `fdfind`. The other trees are made.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import compare
import contest
import pathspec
import trees

from nanocode._ext import walk as native
from nanocode.hot import walk as python

SIZES = (15, 51, 562, 5695)
FD = ("--type", "f", "--strip-cwd-prefix")
Run = Callable[[], list[bytes]]


class Contenders:
    """Ways to list the files of one tree."""

    def __init__(self, top: Path, rg: str, fd: str, rounds: int) -> None:
        self.top = top
        self.rg = rg
        self.fd = fd
        self.rounds = rounds

    def program(self, *command: str) -> Run:
        return lambda: lines(*command, cwd=self.top)

    def walker(self, module: Any, **options: Any) -> Run:
        return lambda: [entry.path for entry in module.walk(str(self.top), kinds="files", **options).entries]

    def listed(self, case: str) -> list[contest.Figure]:
        contenders = {
            "nanocode": self.walker(native),
            "rg --files": self.program(self.rg, "--files"),
            "fd": self.program(self.fd, *FD),
        }
        if (self.top / ".git" / "HEAD").exists():
            others = ("git", "ls-files", "-co", "--exclude-standard", ":!:**/.*", ":!:.*")
            contenders["git ls-files"] = self.program(*others)
        contenders["nanocode, Python twin"] = self.walker(python)
        contenders["os.walk and pathspec"] = lambda: plain(self.top)
        return self.contest(case, contenders)

    def globbed(self, case: str) -> list[contest.Figure]:
        """`**/*.c` in path order, then the newest of them."""
        wanted = {"globs": ["**/*.c"]}
        chosen = (self.rg, "--files", "-g", "**/*.c")
        any_order = {
            "nanocode": self.walker(native, **wanted),
            "rg --files -g": self.program(*chosen),
            "fd -e c": self.program(self.fd, "-e", "c", *FD),
            "nanocode, Python twin": self.walker(python, **wanted),
        }
        newest = {
            "nanocode": self.walker(native, **wanted, newest=True),
            "rg --sortr modified": self.program(*chosen, "--sortr", "modified"),
            "nanocode, Python twin": self.walker(python, **wanted, newest=True),
        }
        return [
            *self.contest(f"{case}, **/*.c", any_order),
            *self.contest(f"{case}, **/*.c newest first", newest),
        ]

    def contest(self, case: str, contenders: dict[str, Run]) -> list[contest.Figure]:
        figures = contest.contest(case, contenders, normal=set, rounds=self.rounds)
        print(contest.table(figures), flush=True)
        return figures


def lines(*command: str, cwd: Path) -> list[bytes]:
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, timeout=contest.BUDGET_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return done.stdout.splitlines()


def plain(top: Path) -> list[bytes]:
    """What a script does: os.walk, and pathspec for each folder's `.gitignore`."""
    found = []
    specs: dict[str, list[tuple[str, pathspec.PathSpec[Any]]]] = {}
    end = perf_counter() + contest.BUDGET_SECONDS
    for place, folders, names in os.walk(top):
        if perf_counter() > end:
            raise TimeoutError
        relative = os.path.relpath(place, top)
        mine = list(specs.get(os.path.dirname(relative) if relative != "." else "", []))
        if ".gitignore" in names:
            text = Path(place, ".gitignore").read_text("utf-8", "replace").splitlines()
            mine.append((place, pathspec.GitIgnoreSpec.from_lines(text)))
        specs["" if relative == "." else relative] = mine

        def left_out(name: str, end: str = "", place: str = place, mine: list[Any] = mine) -> bool:
            path = os.path.join(place, name)
            verdicts = (spec.check_file(os.path.relpath(path, base) + end).include for base, spec in reversed(mine))
            return next((verdict for verdict in verdicts if verdict is not None), False)

        folders[:] = [name for name in folders if name[0] != "." and not left_out(name, "/")]
        kept = (name for name in names if name[0] != "." and not left_out(name))
        paths = (os.path.join(place, name) for name in kept)
        found += [os.fsencode(os.path.relpath(path, top)) for path in paths if not os.path.islink(path)]
    return found


def repository(top: Path, files: int) -> Path:
    trees.sources(top, files)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", nargs="?", type=Path)
    parser.add_argument("--rg", default=shutil.which("rg"), help="path of ripgrep")
    parser.add_argument("--fd", type=shutil.which, default=shutil.which("fdfind") or "fd", help="path of fd")
    parser.add_argument("--packages", type=int, default=60_000, help="files of the tree of packages")
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=contest.ROUNDS)
    options = parser.parse_args()
    if not (options.rg and options.fd):
        parser.error("needs ripgrep and fd; say where with `--rg` and `--fd`")
    rg, fd = os.path.abspath(options.rg), os.path.abspath(options.fd)

    def ways(top: Path) -> Contenders:
        return Contenders(top, rg, fd, options.rounds)

    figures: list[contest.Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for size in SIZES:
            figures += ways(repository(place / str(size), size)).listed(f"{size} files")
        figures += ways(trees.packages(place / "packages", options.packages)).listed("packages")
        tree = options.tree or repository(place / "tree", 4000)
        figures += ways(tree).listed("tree")
        # ripgrep's -g brings ignored files back, and of the made tree some .c files are ignored.
        figures += ways(tree).globbed("tree") if options.tree else []
    if options.record:
        versions = {name: lines(name, "--version", cwd=Path())[0].decode() for name in (rg, fd)}
        print(compare.record("walk", figures, {Path(name).name: words for name, words in versions.items()}))


if __name__ == "__main__":
    main()
