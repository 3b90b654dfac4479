"""Builds the compiled twins: every `ext/NAME.pyx` becomes `nanocode._ext.NAME`; all metadata is in pyproject.toml.

Three variables steer it:

NANOCODE_EXT       auto (default) builds the twins, and installs without them when that fails: it says so on stderr
                   and leaves the reason in `nanocode/_ext/reason.txt`, which `nanocode --version` shows.
                   off builds a pure py3-none-any wheel; require makes a failure an error.
NANOCODE_SANITIZE  names for `-fsanitize`, such as `address,undefined`; run the tests under
                   `LD_PRELOAD=$(gcc -print-file-name=libasan.so) PYTHONMALLOC=malloc`.
NANOCODE_COVERAGE  1 lets the twins tell coverage.py of their lines, and leaves the C in `ext/`, where its plugin looks
                   for it; many times slower. `.ci/coverage` sets it.
"""

import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

# The first release that reads `license = "MIT"` in pyproject.toml; a fresh venv of Python 3.11 brings 65.
SETUPTOOLS = 77
MODES = ("auto", "off", "require")
PACKAGE = "nanocode/_ext"
DIRECTIVES = {"language_level": 3, "binding": True, "freethreading_compatible": True}
FLAGS = ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS")
GRAFTED = ("ext", "tests", "benchmarks")
# Twins of what stands on openat and the like.
POSIX_ONLY = {"ignore", "search", "walk"}
# What Cython may leave beside its sources.
GENERATED = {"ext/*.c", "ext/*.html"}

REQUIRES = [
    "httpx>=0.28,<1",
    "prompt-toolkit>=3.0.52,<3.1",
    "pygments>=2.18,<3",
    "pyyaml>=6.0.2",
    "regex>=2024.11.6",
    "tiktoken>=0.8",
    "mcp>=2.3,<3",
    "json5>=0.12",
    "beautifulsoup4>=4.13",
    "markdownify>=1.1",
]
# No wheels for free-threaded Python, for 3.15 only with glibc 2.39; `nanocode/jsontext.py` falls back to `json`.
ORJSON = 'orjson>=3.10.15,<4; python_version < "3.15" and implementation_name == "cpython"'


def mode() -> str:
    value = os.environ.get("NANOCODE_EXT") or "auto"
    if value not in MODES:
        raise SystemExit(f"`NANOCODE_EXT` is `{value}`; set it to `auto`, `off` or `require`")
    return value


def requirements() -> list[str]:
    # No environment marker tells a free-threaded Python, so each wheel carries what its own Python can install,
    # and the pure wheel, which serves wherever no other does, carries what installs everywhere.
    fits = mode() != "off" and not sysconfig.get_config_var("Py_GIL_DISABLED")
    return [*REQUIRES, ORJSON] if fits else REQUIRES


def sanitizer() -> list[str]:
    names = os.environ.get("NANOCODE_SANITIZE")
    return [f"-fsanitize={names}", "-fno-sanitize-recover=all"] if names else []


def plain() -> list[str]:
    # Python's own flags also hold -g, which makes the twins five times as large; with a -g in CFLAGS they keep it.
    return [] if sys.platform == "win32" or "-g" in os.environ.get("CFLAGS", "").split() else ["-g0"]


def traced() -> bool:
    return os.environ.get("NANOCODE_COVERAGE") == "1"


def directives() -> dict[str, int | bool]:
    return DIRECTIVES | {"linetrace": traced()}


def variant() -> str:
    """All that changes a twin without changing its source."""
    return repr((sanitizer(), directives(), [os.environ.get(name) for name in FLAGS]))


def twins() -> list[Extension]:
    sources = [] if mode() == "off" else sorted(Path("ext").glob("*.pyx"))
    sources = [path for path in sources if sys.platform != "win32" or path.stem not in POSIX_ONLY]
    headers = [str(path) for suffix in ("h", "pxd") for path in sorted(Path("ext").glob(f"*.{suffix}"))]
    # Python's own flags hold -fwrapv, which hides signed overflow from the sanitizer.
    extra = [*sanitizer(), "-fno-wrapv", "-fno-omit-frame-pointer", "-g"] if sanitizer() else plain()
    return [
        Extension(
            f"nanocode._ext.{path.stem}",
            [str(path)],
            include_dirs=["ext"],
            define_macros=[("CYTHON_TRACE_NOGIL", "1")] if traced() else [],
            depends=[str(path), *headers],
            extra_compile_args=extra,
            extra_link_args=sanitizer(),
        )
        for path in sources
    ]


def clear(folder: Path, reason: str = "") -> None:
    """Take away what an earlier build left in `folder`: the reason, and with a new reason also the old twins."""
    (folder / "reason.txt").unlink(missing_ok=True)
    if reason:
        for suffix in ("so", "pyd"):
            for path in folder.glob(f"*.{suffix}"):
                path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "reason.txt").write_text(reason + "\n", encoding="utf-8")


def brief(words: str) -> str:
    """One line of an error's words, with only the program of the command that it may quote."""
    return re.sub(r"\['([^']*)'.*?\]", r"\1", " ".join(words.split()))


class BuildPython(build_py):
    """Leaves the reason when the twins were not wanted; `BuildTwins` does so when they could not be had."""

    def run(self) -> None:
        super().run()
        if not self.distribution.ext_modules:
            clear(Path("src" if self.editable_mode else self.build_lib, PACKAGE), "built with NANOCODE_EXT=off")


class BuildTwins(build_ext):
    """Compiles all twins, or in `auto` none."""

    def run(self) -> None:
        folders = [Path(self.build_lib, PACKAGE), *([Path("src", PACKAGE)] if self.inplace else [])]
        reason = ""
        try:
            super().run()
        except Exception as error:  # whatever a missing or broken toolchain raises, the Python twins still serve
            reason = f"build failed: {type(error).__name__}: {brief(str(error))}"
            if mode() == "require":
                raise
            print(f"nanocode: installing without compiled twins; {reason}", file=sys.stderr)
            self.extensions = self.distribution.ext_modules = []
        finally:
            for folder in folders:
                clear(folder, reason)

    def build_extensions(self) -> None:
        from Cython.Build import cythonize

        # Time stamps do not show other flags. Without the stamp, a build that was cut off is done again.
        stamp = Path(self.build_temp, "variant.txt")
        self.force = self.force or not stamp.exists() or stamp.read_text(encoding="utf-8") != variant()
        stamp.unlink(missing_ok=True)
        options: dict[str, Any] = {"compiler_directives": directives(), "include_path": ["ext"], "quiet": True}
        made = cythonize(self.extensions, build_dir=self.build_temp, force=self.force, **options)
        for extension, compiled in zip(self.extensions, made, strict=True):
            extension.sources = compiled.sources
        # Compilers wait in threads; cythonize would need processes, which not every system lets it have.
        self.parallel = self.parallel or os.cpu_count()
        super().build_extensions()
        for extension in self.extensions if traced() else ():
            self.copy_file(extension.sources[0], "ext")
        stamp.write_text(variant(), encoding="utf-8")


def released(path: Path) -> bool:
    cache = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
    return path.is_file() and not cache and not any(path.match(pattern) for pattern in GENERATED)


class Source(sdist):
    """The release archive with what it takes to build, test and measure."""

    def make_distribution(self) -> None:
        for folder in GRAFTED:
            self.filelist.extend(str(path) for path in sorted(Path(folder).rglob("*")) if released(path))
        self.filelist.remove_duplicates()
        super().make_distribution()


def main() -> None:
    if int(setuptools.__version__.partition(".")[0]) < SETUPTOOLS:
        raise SystemExit(
            f"nanocode builds with setuptools {SETUPTOOLS} or newer, here is {setuptools.__version__}; "
            "run `pip install -U setuptools`, or leave out `--no-build-isolation`"
        )
    setup(
        install_requires=requirements(),
        ext_modules=twins(),
        cmdclass={"build_py": BuildPython, "build_ext": BuildTwins, "sdist": Source},
    )


# cythonize may start processes that import this file again.
if __name__ == "__main__":
    main()
