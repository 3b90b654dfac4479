"""Where sessions lie and how one is found: list, find, rename, delete; knows only a file's ends."""

import os
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nanocode.errors import UsageError
from nanocode.frozen import frozen
from nanocode.jsontext import loads
from nanocode.settings import Settings
from nanocode.store.transcript import NAME_WINDOW, Transcript, title

_HEAD = 8 << 10
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_ID = re.compile(r"[0-9a-f]{2,12}")
_NAME = b'\n{"type":"name",'


@frozen
class Entry:
    """One session in a listing; `title` is its name, else its first words; `time` the last write, in epoch seconds."""

    id: str
    file: str
    title: str
    time: float
    size: int
    model: str
    cwd: str
    parent: str

    @property
    def path(self) -> Path:
        # Made where it is asked for: a thousand of them are an eighth of a listing.
        return Path(self.file)


def folder(directory: Path, cwd: Path) -> Path:
    """Where the sessions of a working folder lie; readable, and unlike for paths that look alike."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", str(cwd)).strip("-")[-80:]
    return directory / "sessions" / f"{readable or 'root'}-{zlib.crc32(os.fsencode(cwd)):08x}"


def fresh(directory: Path, cwd: Path, id: str) -> Path:
    """The path for a new session; names sort by time."""
    return folder(directory, cwd) / f"{time.strftime('%Y%m%dT%H%M%S')}_{id}.jsonl"


def opened(settings: Settings, id: str, **options: Any) -> Transcript:
    """The transcript that the flags ask for: an earlier one, or a new one with `id`; options as for Transcript.

    Raises UsageError when the earlier one does not exist or is open elsewhere.
    """
    path = _wanted(settings)
    if path is not None and path.exists():
        return resumed(settings, path, _header(settings, id), **options)
    return new(settings, id, path, **options)


def resumed(settings: Settings, path: Path, header: dict[str, Any] | None = None, **options: Any) -> Transcript:
    """The transcript of an existing file; with `--no-session` what it holds goes on in memory alone."""
    transcript = Transcript.resume(path, header, **options)
    if settings.no_session:
        transcript.close()
    return transcript


def new(settings: Settings, id: str, path: Path | None = None, **options: Any) -> Transcript:
    """A transcript that begins with its first message."""
    header = _header(settings, id)
    if settings.no_session:
        return Transcript(None, header, **options)
    return Transcript(path or fresh(settings.directory, settings.cwd, id), header, **options)


def _header(settings: Settings, id: str) -> dict[str, Any]:
    header = {"id": id, "cwd": str(settings.cwd), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    return header | ({"parent": settings.parent_session} if settings.parent_session else {})


def _wanted(settings: Settings) -> Path | None:
    """The file that a flag names, None for a new session."""
    if named := settings.session or settings.resume:
        if "/" in named or named.endswith(".jsonl"):
            return settings.path(named)
        return find(settings.directory, settings.cwd, named).path
    last = newest(settings.directory, settings.cwd) if settings.continued else None
    return last.path if last else None


def listing(directory: Path, cwd: Path | None = None) -> list[Entry]:
    """The sessions of a working folder, or of all, newest first; files that are no sessions are passed over."""
    return list(_entries(_files(directory, cwd)))


def newest(directory: Path, cwd: Path) -> Entry | None:
    """The last used session of a working folder; one that another session started for itself does not count."""
    return next((entry for entry in _entries(_files(directory, cwd)) if not entry.parent), None)


def find(directory: Path, cwd: Path, id: str) -> Entry:
    """The session whose id begins with `id`, of this working folder first; else the one here that is called so.

    Raises UsageError for none or several.
    """
    for where in (cwd, None):
        found = [entry for path in _files(directory, where, id) if (entry := _entry(*path))]
        if len(found) > 1:
            several = ", ".join(entry.id for entry in found[:5])
            raise UsageError(f"several sessions begin with `{id}`: {several}", "give more of the id")
        if found:
            return found[0]
    # What looks like an id is meant as one, and no script goes on with a session that only speaks of it.
    called = [] if _ID.fullmatch(id) else _called(directory, cwd, id.lower())
    whole = [entry for entry in called if id.lower() == entry.title.lower()]
    if len(whole) == 1 or len(called) == 1:
        return (whole or called)[0]
    if called:
        several = ", ".join(f"{entry.id} `{title(entry.title)[:40]}`" for entry in called[:5])
        raise UsageError(f"several sessions are called `{id}`: {several}", "give the id, or more of the name")
    raise UsageError(f"there is no session `{id}`", "`/resume` lists them; --continue takes the last one")


def _called(directory: Path, cwd: Path, words: str) -> list[Entry]:
    return [entry for entry in listing(directory, cwd) if words in entry.title.lower()]


def rename(entry: Entry, name: str) -> None:
    """Name a session that is not open. Raises UsageError when it is."""
    transcript = Transcript.resume(entry.path)
    transcript.rename(name)
    transcript.close()


def delete(entry: Entry) -> None:
    """Take a session away, with what `/undo` kept for it. Raises UsageError when another process has it open."""
    Transcript.resume(entry.path).close()
    entry.path.unlink(missing_ok=True)
    shutil.rmtree(entry.path.with_suffix(".undo"), ignore_errors=True)


def _files(directory: Path, cwd: Path | None, id: str = "") -> list[tuple[str, os.stat_result]]:
    """Paths and their facts, newest first."""
    folders = [str(folder(directory, cwd))] if cwd else _names(directory / "sessions")
    found = []
    for each in folders:
        with suppress(OSError), os.scandir(each) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl") and entry.name.partition("_")[2].startswith(id):
                    found.append((entry.path, entry.stat()))
    return sorted(found, key=lambda pair: (pair[1].st_mtime_ns, pair[0]), reverse=True)


def _names(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries]
    except OSError:
        return []


def _entries(files: list[tuple[str, os.stat_result]]) -> Iterator[Entry]:
    return (entry for path, facts in files if (entry := _entry(path, facts)))


def _entry(path: str, facts: os.stat_result) -> Entry | None:
    try:
        header, name = _ends(path, facts.st_size)
        return Entry(
            header["id"],
            path,
            name or header.get("title", ""),
            facts.st_mtime,
            facts.st_size,
            header.get("model", ""),
            header["cwd"],
            header.get("parent", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _ends(path: str, size: int) -> tuple[dict[str, Any], str]:
    # Plain calls of the system: a file object costs as much again as both reads.
    file = os.open(path, _READ)
    try:
        head = tail = os.read(file, _HEAD)
        if size > _HEAD:
            os.lseek(file, max(size - NAME_WINDOW, 0), os.SEEK_SET)
            tail = os.read(file, NAME_WINDOW)
    finally:
        os.close(file)
    return loads(head[: head.index(b"\n")]), _name(tail) if _NAME in tail else ""


def _name(tail: bytes) -> str:
    """The last name; the part behind the last newline may be torn."""
    named = tail.rfind(_NAME, 0, tail.rfind(b"\n") + 1)
    return str(loads(tail[named + 1 : tail.index(b"\n", named + 1)])["name"]) if named >= 0 else ""
