"""Sizes: the wheels, what they unpack to, and a whole environment with all that they need, in megabytes.

Run `python benchmarks/bench_sizes.py`, with `--record` to keep the figures under `runs/`. It builds both wheels from
this tree, and installs each in an environment of its own, which takes a network or a cache of packages.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import compare

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Size:
    """One wheel: the file, its content, and an environment of it and its requirements without pip, in megabytes."""

    core: str
    wheel: float
    unpacked: float
    installed: float
    packages: int


def measured(core: str, mode: str) -> Size:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        environ = {**os.environ, "NANOCODE_EXT": mode}
        subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, str(ROOT)], env=environ, check=True)
        [wheel] = Path(folder).glob("*.whl")
        with ZipFile(wheel) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
        home = Path(folder, "env")
        venv.create(home)
        subprocess.run([*pip, "--python", str(home), "install", "--no-compile", str(wheel)], check=True)
        files = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
        bytes_ = sum(path.stat().st_size for path in files)
        packages = sum(path.name == "METADATA" for path in files)
        return Size(core, *(round(size / 1e6, 2) for size in (wheel.stat().st_size, unpacked, bytes_)), packages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    options = parser.parse_args()
    sizes = [measured("native", "require"), measured("python", "off")]
    print(f"{'core':8} {'wheel MB':>9} {'unpacked':>9} {'installed':>10} {'packages':>9}")
    for size in sizes:
        print(f"{size.core:8} {size.wheel:9.2f} {size.unpacked:9.2f} {size.installed:10.2f} {size.packages:9}")
    if options.record:
        print(compare.record("sizes", sizes, {"nanocode": version("nanocode")}))


if __name__ == "__main__":
    main()
