"""Sizes and starts: wheels, whole environments in megabytes, and the seconds of `--version`, beside other agents.

Run `python benchmarks/bench_sizes.py`, with `--record` to keep the figures under `runs/`. It builds both wheels from
this tree, or takes those of `--wheels`, and installs each in an environment of its own, which takes a network or a
cache of packages; so it does with each of `--pip`. Of `--peers`, a folder `node_modules`, it counts what each of the
agents in `programs.py` needs of it. Neither Python nor node is counted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from time import perf_counter
from zipfile import ZipFile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import compare
from programs import PACKAGES, peers, versions

ROOT = Path(__file__).parents[1]
CORES = {"nanocode": "require", "nanocode, no compiler": "off"}
ROUNDS = 5
INSTALL_SECONDS = 150
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
# What an agent's command is called where its package is called otherwise.
COMMANDS = {"aider-chat": "aider"}


@dataclass(frozen=True, slots=True)
class Size:
    """One agent: megabytes of its wheel (0.0 without) and of all that it needs, packages, seconds of `--version`.

    `ratio` is how many times our time the start takes, as `compare` has it.
    """

    case: str
    contender: str
    wheel: float
    installed: float
    packages: int
    seconds: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Installed:
    """An agent on disk: bytes, packages, the bytes of its wheel, the command that starts it, and its version."""

    bytes: int
    packages: int
    wheel: int
    start: list[str]
    version: str


def wheel(mode: str, given: Path | None, folder: Path) -> Path:
    """The wheel of one core, made here or taken from those that were built."""
    tag = "py3-none-any" if mode == "off" else f"cp{sys.version_info[0]}{sys.version_info[1]}-"
    if given is None:
        given = folder / mode
        environ = {**os.environ, "NANOCODE_EXT": mode}
        subprocess.run([*PIP, "wheel", "--no-deps", "-w", str(given), str(ROOT)], env=environ, check=True)
    [found] = given.glob(f"nanocode-*{tag}*.whl")
    return found


def installed(wanted: str, command: str, home: Path) -> Installed:
    """A wheel or a named package in an environment without pip. Raises TimeoutExpired or CalledProcessError."""
    venv.create(home)
    words = [*PIP, "--python", str(home), "install", "--no-compile", "--only-binary", ":all:", wanted]
    subprocess.run(words, check=True, timeout=INSTALL_SECONDS)
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    packages = sum(path.name == "METADATA" for path in files)
    own = Path(wanted).stat().st_size if wanted.endswith(".whl") else 0
    [folder] = home.glob("lib/python*/site-packages")
    name = "nanocode" if own else wanted
    [found] = distributions(name=name, path=[str(folder)])
    size = sum(path.stat().st_size for path in files)
    return Installed(size, packages, own, [str(home / "bin" / command)], found.version)


def unpacked(path: Path) -> float:
    with ZipFile(path) as archive:
        return sum(each.file_size for each in archive.infolist()) / 1e6


def needed(package: Path) -> set[Path]:
    """A package of node and all that it stands on, as node finds them."""
    found, left = set(), [package]
    while left:
        if (each := left.pop()) in found:
            continue
        found.add(each)
        described = json.loads((each / "package.json").read_text("utf-8"))
        for name in (*described.get("dependencies", ()), *described.get("optionalDependencies", ())):
            places = (above / "node_modules" / name for above in (each, *each.parents))
            # Most of the optional ones are for other machines.
            left += [place for place in places if (place / "package.json").exists()][:1]
    return found


def own_bytes(package: Path) -> Iterator[int]:
    for folder, folders, names in os.walk(package):
        if "node_modules" in folders:
            folders.remove("node_modules")
        yield from (path.stat().st_size for path in (Path(folder, name) for name in names) if not path.is_symlink())


def from_npm(modules: Path) -> Iterator[tuple[str, Installed]]:
    known = versions(modules)
    for program in peers(modules):
        packages = needed(modules / PACKAGES[program.name])
        start = [*program.words[: 2 if program.words[0] == "node" else 1]]
        size = sum(sum(own_bytes(each)) for each in packages)
        yield program.name, Installed(size, len(packages), 0, start, known[program.name])


def from_pip(names: Iterable[str], folder: Path) -> Iterator[tuple[str, Installed]]:
    for name in names:
        command = COMMANDS.get(name, name)
        try:
            yield command, installed(name, command, folder / name)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(
                f"{name}: left out, {'not installed in time' if hasattr(error, 'timeout') else 'it does not install'}"
            )


def starts(commands: Sequence[list[str]], home: str, rounds: int) -> list[list[float]]:
    """Seconds of `--version` by round; the first run of each, which writes byte code, does not count."""
    environ = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8"}
    taken: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds + 1):
        for command, seconds in zip(commands, taken, strict=True):
            begin = perf_counter()
            subprocess.run([*command, "--version"], env=environ, cwd=home, check=True, capture_output=True)
            seconds.append(perf_counter() - begin)
    return [seconds[1:] for seconds in taken]


def sizes(agents: dict[str, Installed], home: str, rounds: int) -> Iterator[Size]:
    taken = starts([each.start for each in agents.values()], home, rounds)
    for (name, each), seconds in zip(agents.items(), taken, strict=True):
        ratio = median(theirs / own for theirs, own in zip(seconds, taken[0], strict=True))
        megabytes = (round(size / 1e6, 2) for size in (each.wheel, each.bytes))
        yield Size("install", name, *megabytes, each.packages, round(median(seconds), 3), round(ratio, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="folder with both wheels, instead of building them")
    parser.add_argument("--peers", type=Path, help="node_modules with other agents")
    parser.add_argument("--pip", nargs="*", default=[], metavar="NAME", help="agents on PyPI, such as aider-chat")
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the starts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, agents = Path(name), {}
        for core, mode in CORES.items():
            built = wheel(mode, options.wheels, folder)
            print(f"{built.name}: {unpacked(built):.2f} MB unpacked", flush=True)
            agents[core] = installed(str(built), "nanocode", folder / f"env-{mode}")
        agents |= from_pip(options.pip, folder)
        agents |= from_npm(options.peers.resolve()) if options.peers else {}
        figures = list(sizes(agents, name, options.rounds))
    print(f"{'':24} {'wheel MB':>9} {'installed':>10} {'packages':>9} {'--version':>10} {'ratio':>7}")
    for each in figures:
        own = f"{each.wheel:.2f}" if each.wheel else ""
        print(
            f"{each.contender:24} {own:>9} {each.installed:10.1f} {each.packages:9} {each.seconds:8.3f} s"
            f" {each.ratio:7.2f}"
        )
    if options.record:
        print(compare.record("sizes", figures, {name: each.version for name, each in agents.items()}))


if __name__ == "__main__":
    main()
