"""Finds what users wrote down for the agent: context files, system prompts; knows nothing of how it is told."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nanocode.frozen import frozen
from nanocode.settings import Settings

CONTEXT = ("AGENTS.md", "agents.md", "CLAUDE.md", "claude.md")
ROOT_CONTEXT = ("AGENTS.md", "CLAUDE.md")
SYSTEM = ("SYSTEM.md", "system.md")
APPEND = ("APPEND_SYSTEM.md", "append_system.md", "append-system.md")
LIMIT = 32 << 10


@frozen
class Found:
    """One file and its text, cut to the limit."""

    path: Path
    text: str


class Reader:
    """Reads files for the prompt: each real file once, regular ones only; `warnings` says what was left out."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._seen: set[tuple[int, int]] = set()

    def first(self, paths: Iterable[Path]) -> tuple[Found, ...]:
        """The first that exists, as a tuple of one or none."""
        return next(((found,) for path in paths if (found := self.read(path))), ())

    def all(self, paths: Iterable[Path]) -> tuple[Found, ...]:
        return tuple(found for path in paths if (found := self.read(path)))

    def read(self, path: Path, limit: int = LIMIT) -> Found | None:
        """The file at `path`, None when there is none or it was read before."""
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode) or (facts.st_dev, facts.st_ino) in self._seen:
                return None
            self._seen.add((facts.st_dev, facts.st_ino))
            with open(path, "rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.warnings.append(f"`{path}` is left out: {error.strerror or error}")
            return None
        if len(data) > limit:
            self.warnings.append(f"`{path}` is cut to its first {limit >> 10}KB; shorten it")
            data = data[: data.rfind(b"\n", 0, limit) + 1 or limit] + b"[cut here: the file is longer]"
        return Found(path, data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip())


def ancestors(cwd: Path) -> tuple[Path, ...]:
    """The working folder and all above it, nearest first."""
    return (cwd, *cwd.parents)


def project(cwd: Path) -> tuple[Path, ...]:
    """The folders from the working folder up to the git root, nearest first; the working folder alone without one."""
    above = ancestors(cwd)
    root = next((place for place, folder in enumerate(above) if os.path.lexists(folder / ".git")), 0)
    return above[: root + 1]


def context_files(settings: Settings, reader: Reader) -> tuple[Found, ...]:
    """The user's own, then those of the ancestors' `.nanocode`, root-most first, then those beside the code."""
    if settings.no_context_files:
        return ()
    folders = [settings.directory, *(folder / ".nanocode" for folder in reversed(ancestors(settings.cwd)))]
    found = reader.all(folder / name for folder in folders for name in CONTEXT)
    if not settings.root_context:
        return found
    beside = (reader.first(folder / name for name in ROOT_CONTEXT) for folder in reversed(project(settings.cwd)))
    return found + tuple(file for each in beside for file in each)


def system_file(settings: Settings, reader: Reader, allowed: Callable[[Path, bytes], bool]) -> tuple[Found, ...]:
    """The nearest SYSTEM.md that is the user's own or `allowed` to rule, as a tuple of one or none."""
    for path in (folder / name for folder in _near_first(settings) for name in SYSTEM):
        if found := reader.read(path):
            if path.parent == settings.directory or allowed(path, found.text.encode()):
                return (found,)
            words = "so it does not replace the system prompt; `/trust` accepts it, --trust does so for one run"
            reader.warnings.append(f"`{path}` is not trusted, {words}")
    return ()


def appended_files(settings: Settings, reader: Reader) -> tuple[Found, ...]:
    """The user's APPEND_SYSTEM.md, then the ancestors', root-most first."""
    folders = [settings.directory, *(folder / ".nanocode" for folder in reversed(ancestors(settings.cwd)))]
    return tuple(found for folder in folders for found in reader.first(folder / name for name in APPEND))


def _near_first(settings: Settings) -> Iterator[Path]:
    yield from (folder / ".nanocode" for folder in ancestors(settings.cwd))
    yield settings.directory
