"""Runs the benchmarks one after the other, each in a process of its own: `python -m benchmarks [NAME…]`.

Each checks first that all contenders do the same, then prints a table of ratios. `--record` keeps the figures under
`runs/`, with machine and date, and writes the tables and pictures of the README anew. What a benchmark needs and does
not have (`--linux`, `--rg`, `--fd`, `--ranks`, `--peers`) leaves it or a contender out, with a line that says so.
`--quick` goes through all of it in minutes, on little and few: it shows that everything runs, and its figures are none
to keep.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
README_TABLES = HERE.parent / "tests" / "house" / "test_readme.py"
NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
# Words for the scripts that take more than `--rounds` and `--record`: a name alone is a place on the command line.
TAKES = {
    "agent": ("--peers",),
    "search": ("linux", "--rg"),
    "sizes": ("--peers", "--pip", "--wheels"),
    "tokens": ("ranks",),
    "walk": ("linux", "--rg", "--fd"),
}
REQUIRED = {"search": ("rg",), "tokens": ("ranks",), "walk": ("rg", "fd")}
# Less of each case than a figure needs.
QUICK = {
    "agent": ("--case", "one-shot", "--case", "2 tool turns"),
    "batch": ("--tasks", "6"),
    "edits": ("--megabytes", "1"),
    "search": ("--packages", "2000", "--megabytes", "16"),
    "terminal": ("--deltas", "2000"),
    "walk": ("--packages", "2000"),
}
QUICK_ROUNDS = 2
# Left out of what is quick; a small tree is made instead.
LARGE = {"linux"}
# Where a contender or a part of a benchmark is left out, and what is not measured then.
FEWER = {"linux": "search and walk have small trees only", "peers": "agent and sizes have no other agents beside ours"}


def words(name: str, options: argparse.Namespace) -> list[str]:
    """The command line of one benchmark."""
    command = [sys.executable, str(HERE / f"bench_{name}.py")]
    for each in TAKES.get(name, ()):
        value = getattr(options, each.lstrip("-"))
        if value and not (options.quick and each in LARGE):
            values = [str(part) for part in value] if isinstance(value, list) else [str(value)]
            command += values if each[0] != "-" else [each, *values]
    if options.rounds:
        command += ["--rounds", str(options.rounds)]
    command += QUICK.get(name, ()) if options.quick else ()
    return command + ["--record"] * options.record


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {' '.join(NAMES)}")
    parser.add_argument("--record", action="store_true", help="keep the figures, write the README's tables")
    parser.add_argument("--quick", action="store_true", help="little of everything, and nothing kept")
    parser.add_argument("--rounds", type=int, help="of each case")
    parser.add_argument("--linux", type=Path, help="a source tree of Linux, for search and walk")
    parser.add_argument("--rg", default=shutil.which("rg"), help="path of ripgrep")
    parser.add_argument("--fd", default=shutil.which("fdfind") or shutil.which("fd"), help="path of fd")
    parser.add_argument("--ranks", type=Path, help="tiktoken's file of ranks, for tokens")
    parser.add_argument("--peers", type=Path, help="node_modules with other agents, for agent and sizes")
    parser.add_argument("--pip", nargs="+", metavar="PACKAGE", help="agents on PyPI, for sizes")
    parser.add_argument("--wheels", type=Path, help="folder with both wheels, for sizes, instead of building them")
    options = parser.parse_args()
    if options.quick and options.record:
        parser.error("`--quick` measures too little to be recorded")
    if options.quick and not options.rounds:
        options.rounds = QUICK_ROUNDS
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {' '.join(NAMES)}")
    for flag, loss in FEWER.items():
        if not getattr(options, flag):
            print(f"without --{flag} {loss}", flush=True)
    # A shell may say that no byte code is kept, which makes every start slower.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    failed = []
    for name in options.names or NAMES:
        if missing := [f"--{each}" for each in REQUIRED.get(name, ()) if not getattr(options, each)]:
            print(f"== {name}: left out, it needs {' and '.join(missing)}", flush=True)
            continue
        print(f"== {name}", flush=True)
        failed += [name] if subprocess.run(words(name, options), env=environ).returncode else []
    if options.record and not options.names:
        failed += ["picture"] if subprocess.run([sys.executable, str(HERE / "picture.py")]).returncode else []
    if options.record:
        failed += ["README"] if subprocess.run([sys.executable, str(README_TABLES)]).returncode else []
    print(f"failed: {', '.join(failed)}" if failed else "all done")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
