"""Runs the benchmarks one after the other, each in a process of its own: `python -m benchmarks [NAME…]`.

Each checks first that all contenders do the same, then prints a table of ratios. `--record` keeps the figures under
`runs/`, with machine and date, and draws the pictures of the README anew. What a benchmark needs and does not have
(`--linux`, `--rg`, `--fd`, `--ranks`) leaves it out with a line that says so.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
# Words for the scripts that take more than `--rounds` and `--record`: a name alone is a place on the command line.
TAKES = {
    "agent": ("--peers",),
    "search": ("linux", "--rg"),
    "tokens": ("ranks",),
    "walk": ("linux", "--rg", "--fd"),
}
REQUIRED = {"search": "rg", "tokens": "ranks"}
WITHOUT_ROUNDS = {"sizes"}


def words(name: str, options: argparse.Namespace) -> list[str]:
    """The command line of one benchmark."""
    command = [sys.executable, str(HERE / f"bench_{name}.py")]
    for each in TAKES.get(name, ()):
        if value := getattr(options, each.lstrip("-")):
            command += [str(value)] if each[0] != "-" else [each, str(value)]
    if options.rounds and name not in WITHOUT_ROUNDS:
        command += ["--rounds", str(options.rounds)]
    return command + ["--record"] * options.record


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {' '.join(NAMES)}")
    parser.add_argument("--record", action="store_true", help="keep the figures, draw the pictures")
    parser.add_argument("--rounds", type=int, help="of each case")
    parser.add_argument("--linux", type=Path, help="a source tree of Linux, for search and walk")
    parser.add_argument("--rg", default=shutil.which("rg"), help="path of ripgrep")
    parser.add_argument("--fd", help="path of fd")
    parser.add_argument("--ranks", type=Path, help="tiktoken's file of ranks, for tokens")
    parser.add_argument("--peers", type=Path, help="node_modules with other agents, for agent")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are: {' '.join(NAMES)}")
    failed = []
    for name in options.names or NAMES:
        needed = REQUIRED.get(name)
        if needed and not getattr(options, needed):
            print(f"== {name}: left out, it needs --{needed}", flush=True)
            continue
        print(f"== {name}", flush=True)
        failed += [name] if subprocess.run(words(name, options)).returncode else []
    if options.record and not options.names:
        failed += ["picture"] if subprocess.run([sys.executable, str(HERE / "picture.py")]).returncode else []
    print(f"failed: {', '.join(failed)}" if failed else "all done")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
