"""Times listing a tree against ripgrep, fd, git and the plain Python way, each read through a pipe as agents do.

`--linux` is the source in Debian's `linux-source` package, unpacked; its `.gitignore` ends in a rule that ignores all,
which is taken out, and a `.git` is put there so that ignore rules count. `--rg` is the newest ripgrep (the npm package
`@vscode/ripgrep` carries one), `--fd` Debian's `fdfind`. The other trees are made.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compare
import pathspec

from nanocode._ext import walk as native
from nanocode.hot import walk as python

SIZES = (15, 51, 562, 5695)


def opened(tree: Path) -> Path:
    """Make Debian's Linux tree one that git's rules do not ignore as a whole."""
    rules = tree / ".gitignore"
    kept = [line for line in rules.read_bytes().split(b"\n") if line.strip() not in (b"/*", b"!/debian/")]
    rules.write_bytes(b"\n".join(kept))
    (tree / ".git").exists() or (tree / ".git").write_text("gitdir: nowhere\n")
    return tree


def folder(top: Path, files: int, per_folder: int = 17) -> Path:
    """A repository of so many files, a few of them ignored."""
    for number in range(files):
        path = top / f"part{number // (per_folder * 9)}" / f"room{number // per_folder}" / f"name{number}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    (top / ".gitignore").write_text("*.o\n/build/\n*7.c\n")
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    return top


def lines(*command: str, cwd: Path) -> list[bytes]:
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, check=False).stdout.splitlines()


def plain(top: Path) -> list[bytes]:
    """What a script does: os.walk, and pathspec for each folder's `.gitignore`."""
    found = []
    specs: dict[str, list[tuple[str, pathspec.PathSpec[Any]]]] = {}
    for place, folders, names in os.walk(top):
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
        found += [os.fsencode(os.path.relpath(os.path.join(place, name), top)) for name in kept]
    return found


def walker(module: Any, top: Path, **options: Any) -> Callable[[], list[bytes]]:
    return lambda: [entry.path for entry in module.walk(str(top), kinds="files", **options).entries]


def found(case: str, top: Path, options: argparse.Namespace, pythons: bool) -> list[compare.Figure]:
    contenders: dict[str, Callable[[], Any]] = {
        "nanocode": walker(native, top),
        "rg --files": lambda: lines(options.rg, "--files", cwd=top),
        "fd": lambda: lines(options.fd, "--type", "f", "--strip-cwd-prefix", cwd=top),
    }
    if (top / ".git").is_dir():
        others = ("git", "ls-files", "-co", "--exclude-standard", ":!:**/.*", ":!:.*")
        contenders["git ls-files"] = lambda: lines(*others, cwd=top)
    if pythons:
        contenders["nanocode, Python twin"] = walker(python, top)
        contenders["os.walk and pathspec"] = lambda: plain(top)
    return compare.compare(case, contenders, normal=sorted, rounds=options.rounds)


def globbed(top: Path, options: argparse.Namespace) -> list[compare.Figure]:
    """`**/*.c` in path order, then the newest of them."""
    any_order = {
        "nanocode": walker(native, top, globs=["**/*.c"]),
        "rg --files -g": lambda: lines(options.rg, "--files", "-g", "**/*.c", cwd=top),
        "fd -e c": lambda: lines(options.fd, "--type", "f", "-e", "c", "--strip-cwd-prefix", cwd=top),
        "nanocode, Python twin": walker(python, top, globs=["**/*.c"]),
    }
    newest = {
        "nanocode": walker(native, top, globs=["**/*.c"], newest=True),
        "rg --sortr modified": lambda: lines(options.rg, "--files", "-g", "**/*.c", "--sortr", "modified", cwd=top),
        "nanocode, Python twin": walker(python, top, globs=["**/*.c"], newest=True),
    }
    return [
        *compare.compare("linux, **/*.c", any_order, normal=sorted, rounds=options.rounds),
        *compare.compare("linux, **/*.c newest first", newest, normal=sorted, rounds=options.rounds),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--linux", type=Path, help="the unpacked source of Linux")
    parser.add_argument("--rg", default=shutil.which("rg"), help="path of ripgrep")
    parser.add_argument("--fd", default=shutil.which("fdfind") or shutil.which("fd"), help="path of fd")
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    if not (options.rg and options.fd):
        parser.error("needs ripgrep and fd; say where with `--rg` and `--fd`")
    figures: list[compare.Figure] = []
    with tempfile.TemporaryDirectory() as place:
        for size in SIZES:
            figures += found(f"{size} files", folder(Path(place, str(size)), size), options, pythons=True)
        figures += found("60,000 small files", folder(Path(place, "many"), 60_000, 8), options, pythons=False)
    if options.linux:
        figures += found("linux", opened(options.linux), options, pythons=True)
        figures += globbed(options.linux, options)
    print(compare.table(figures))
    if options.record:
        versions = {name: lines(name, "--version", cwd=Path())[0].decode() for name in (options.rg, options.fd)}
        print(compare.record("walk", figures, {Path(name).name: words for name, words in versions.items()}))


if __name__ == "__main__":
    main()
