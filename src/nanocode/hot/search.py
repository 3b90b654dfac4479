"""Finds the lines of the files of a tree that match a pattern; knows nothing of how they are shown."""

import errno
import os
import stat
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from nanocode.hot.lines import Scan, Shown, around
from nanocode.hot.query import Query, query
from nanocode.hot.walk import walk

Mode = Literal["lines", "files", "count"]

MODES = ("lines", "files", "count")
# Files are read in pieces of whole lines of about this size; a line beyond the second is cut.
BLOCK = 8 << 20
LONGEST = 16 << 20
# Binary is what has a NUL here; a larger file is not read twice to learn it.
BINARY_LOOK = 1 << 20
BINARY_NOTE = "binary file matches"
NOT_REGULAR = "not a regular file"
HOLLOW = "claims a size it does not hold"
# A match over lines needs the whole text at once.
LARGEST_TEXT = 64 << 20
# `/proc/kcore` and its like claim sizes that they do not hold.
LARGEST_CLAIM = 1 << 30
# What is read of a file that claims to be empty, as those of `/proc` do.
_SMALLEST = 64 << 10


class Line(NamedTuple):
    """A line as it is shown: its number from 1, its text, and whether it matches or is context."""

    number: int
    text: str
    is_match: bool


@dataclass(frozen=True, slots=True)
class FileMatches:
    """What was found in one file: `path` relative to the root, `count` of matches, lines, and a remark or ""."""

    path: bytes
    count: int
    lines: tuple[Line, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Search:
    """The answer: files in path order, and what was left out."""

    files: tuple[FileMatches, ...]
    matches: int
    searched: int
    ignored: int
    binary: int
    limit_reached: bool
    literal_fallback: str
    unreadable: tuple[tuple[bytes, str], ...]
    stopped: bool


def search(
    root: str | bytes,
    pattern: str,
    *,
    ignore_case: bool = False,
    literal: bool = False,
    context: int = 0,
    multiline: bool = False,
    mode: Mode = "lines",
    limit: int | None = None,
    globs: Sequence[str] = (),
    hidden: bool = False,
    no_ignore: bool = False,
    excludes: str | None = None,
    stop: bytearray | None = None,
) -> Search:
    """Search `root`, a folder, or one file, for lines that `pattern` matches.

    The tree is walked as `walk.walk` says, of which `globs`, `hidden`, `no_ignore` and `excludes` are; only regular
    files are opened. A `root` that is a file is searched whatever the globs and rules say, with b"" for its path.

    - `pattern` is as `pattern.py` describes; one that does not parse is searched as plain text, and `literal_fallback`
      says why and where. `literal` asks for plain text. Sets, `\\b` and case are Unicode's.
    - A line ends with LF or CR LF, which are no part of it; nor is a UTF-8 byte order mark. A file that starts with one
      of UTF-16 is decoded. A byte that is no UTF-8 is a character that no set holds, and is shown as U+FFFD. A line of
      more than `LONGEST` bytes is cut there, and counts as one for each piece. No more than that is read of a file that
      claims to be empty, as those of `/proc` do.
    - `multiline`, or a newline spelled in the pattern: a match may span lines, all of which are matching lines; matches
      that share a line are one. `.` and `[^a]` still end at a line's end, unless `(?s)` is set. Files of more than
      `LARGEST_TEXT` bytes are then left out.
    - `mode`: "lines" gives the lines, with `context` more on either side of each; "count" only the number of matches in
      each file; "files" stops at the first, and counts 1.
    - A text is at most 500 characters of its line: from 100 before the leftmost match on, with `…` where it was cut.
    - A file with a NUL in its first `BINARY_LOOK` bytes counts as one match, without lines and with `BINARY_NOTE`.
    - `limit`: at most that many matches in all ("lines"), or files; `limit_reached` says that there is at least one
      more. `searched`, `ignored` and `unreadable` then cover only what was read until then, at least.
    - `unreadable`: paths that were not searched and why, those of the walk included; also files in which a pattern
      that is not regular (look-around, back-references) took too long, with the line.
    - `stop`: one byte that another thread may set; the search then returns what it has, with `stopped`.

    Time is linear in what is read for every regular pattern. Raises FileNotFoundError or PermissionError when `root`
    itself cannot be read, ValueError on a `mode` that is none.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` is `{mode}`; use one of {', '.join(f'`{each}`' for each in MODES)}")
    wanted = query(pattern, ignore_case, literal, multiline)
    top = os.fsencode(root)
    job = _Job(wanted, mode, context if mode == "lines" else 0, limit, stop)
    kind = os.stat(top).st_mode
    ignored = 0
    if stat.S_ISDIR(kind):
        tree = walk(top, globs=globs, hidden=hidden, no_ignore=no_ignore, kinds="files", excludes=excludes, stop=stop)
        job.unreadable += tree.unreadable
        job.stopped = tree.stopped
        job.run(os.path.join(top, b""), [entry.path for entry in tree.entries])
        ignored = tree.ignored
    elif stat.S_ISREG(kind):
        job.run(top, [b""])
    else:
        job.unreadable.append((b"", NOT_REGULAR))
    return Search(
        tuple(job.files),
        job.matches,
        job.searched,
        ignored,
        sum(each.note == BINARY_NOTE for each in job.files),
        job.limit_reached,
        wanted.fallback,
        tuple(job.unreadable),
        job.stopped,
    )


@dataclass(slots=True)
class _Job:
    """One search in progress."""

    query: Query
    mode: Mode
    context: int
    limit: int | None
    stop: bytearray | None
    files: list[FileMatches] = field(default_factory=list)
    matches: int = 0
    searched: int = 0
    limit_reached: bool = False
    unreadable: list[tuple[bytes, str]] = field(default_factory=list)
    stopped: bool = False

    def run(self, base: bytes, paths: list[bytes]) -> None:
        for path in paths:
            self.stopped = self.stopped or bool(self.stop and self.stop[0])
            if self.stopped or self.limit_reached:
                break
            try:
                self._file(base, path)
            except OSError as error:
                self.unreadable.append((path, (error.strerror or str(error)).lower()))

    def _file(self, base: bytes, path: bytes) -> None:
        room = None if self.limit is None else self.limit - (self.matches if self.mode == "lines" else len(self.files))
        descriptor = opened(base + path, follow=not path)
        try:
            self.searched += 1
            found = file_matches(descriptor, self.query, self.mode, room, self.context, self.stop)
        finally:
            os.close(descriptor)
        if found.late:
            self.unreadable.append((path, found.late))
        self.stopped = found.stopped
        self.limit_reached = found.over
        if found.count:
            self.files.append(FileMatches(path, found.count, tuple(Line(*hit) for hit in found.hits), found.note))
            self.matches += found.count


@dataclass(frozen=True, slots=True)
class Found:
    """What one file gave: `over` when it has a match beyond the room there was, `late` when the time was up."""

    count: int
    hits: list[Shown]
    note: str
    over: bool
    late: str
    stopped: bool


def file_matches(
    descriptor: int, query: Query, mode: Mode, room: int | None, context: int, stop: bytearray | None
) -> Found:
    """Search one open file; `room` is how many more matches ("lines") or files there may be."""
    scan = Scan(query, room if mode == "lines" else 1 if mode == "files" or room == 0 else None, mode == "lines", stop)
    binary: bool | None = None
    late = ""
    try:
        for block in blocks(descriptor, whole=query.multiline):
            scan.block(block)
            if binary is None and (scan.count or scan.over):
                binary = is_binary(descriptor)
            if binary or scan.over or scan.stopped or (mode == "files" and scan.count):
                break
    except TimeoutError as error:
        late = str(error)
    found = scan.count or scan.over
    if room == 0 or not found:
        return Found(0, [], "", bool(found), late, scan.stopped)
    if binary:
        return Found(1, [], BINARY_NOTE, False, late, scan.stopped)
    hits = scan.hits
    if context and hits:
        os.lseek(descriptor, 0, os.SEEK_SET)
        hits = around(blocks(descriptor, whole=query.multiline), hits, context, scan.over, stop)
    stopped = scan.stopped or bool(stop and stop[0])
    return Found(scan.count, hits, "", mode == "lines" and bool(scan.over), late, stopped)


def opened(path: bytes, *, follow: bool) -> int:
    """A descriptor of the regular file at `path`, of no link unless `follow`. Raise OSError on anything else."""
    # A FIFO must not block, nor a terminal become ours.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    facts = os.fstat(descriptor)
    fault = ""
    if not stat.S_ISREG(facts.st_mode):
        fault = NOT_REGULAR
    elif facts.st_size > LARGEST_CLAIM and getattr(facts, "st_blocks", 1) == 0:
        fault = HOLLOW
    if fault:
        os.close(descriptor)
        raise OSError(errno.EINVAL, fault)
    return descriptor


def is_binary(descriptor: int) -> bool:
    """Whether the start of the file has a NUL; a file of UTF-16 has none that counts. Keeps the place in the file."""
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, 0, os.SEEK_SET)
    start = _read(descriptor, min(BINARY_LOOK, os.fstat(descriptor).st_size or _SMALLEST))
    os.lseek(descriptor, place, os.SEEK_SET)
    return not start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) and b"\0" in start


def blocks(descriptor: int, *, whole: bool) -> Iterator[bytes]:
    """The file as UTF-8 without byte order mark, in pieces of whole lines, or `whole`."""
    rest = b""
    size = LARGEST_TEXT + 1 if whole else BLOCK
    for data in _decoded(descriptor, size):
        data = rest + data
        if whole:
            rest = data
            if len(rest) > LARGEST_TEXT:
                raise OSError(errno.EFBIG, f"larger than {LARGEST_TEXT >> 20} MB, too large for a match over lines")
            continue
        # Only the line that began in an earlier piece can be too long, since a piece is shorter than that.
        while len(data) >= LONGEST and data.find(b"\n", 0, LONGEST) < 0:
            end = _character_end(data[:LONGEST])
            yield data[:end]
            data = data[end:]
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _character_end(piece: bytes) -> int:
    """Where the last whole character of `piece` ends."""
    at = len(piece) - 1
    while at > len(piece) - 4 and piece[at] & 0xC0 == 0x80:
        at -= 1
    return at if piece[at] >= 0xC0 else len(piece)


def _decoded(descriptor: int, size: int) -> Iterator[bytes]:
    pieces = _pieces(descriptor, size)
    data = next(pieces, b"")
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        decoder = getincrementaldecoder("utf-16")("replace")
        while data:
            yield decoder.decode(data).encode("utf-8", "replace")
            data = next(pieces, b"")
        yield decoder.decode(b"", True).encode("utf-8", "replace")
        return
    yield data.removeprefix(BOM_UTF8)
    yield from pieces


def _pieces(descriptor: int, size: int) -> Iterator[bytes]:
    claimed = os.fstat(descriptor).st_size
    size = max(_SMALLEST, min(size, claimed + 1))
    # A file that claims no size, as those of `/proc`, may have no end.
    left = sys.maxsize if claimed else LONGEST
    while left and (data := _read(descriptor, min(size, left))):
        yield data
        left -= len(data)


def _read(descriptor: int, size: int) -> bytes:
    """Up to `size` bytes, fewer only at the end of the file."""
    parts = [os.read(descriptor, size)]
    have = len(parts[0])
    while parts[-1] and have < size:
        parts.append(os.read(descriptor, size - have))
        have += len(parts[-1])
    return b"".join(parts)
