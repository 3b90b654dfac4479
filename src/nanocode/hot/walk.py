"""Lists a tree the way git sees it, in path order; knows nothing of what is in the files.

The Python reference: every folder is read once, entry kinds come from the listing and not from a stat, and files of
rules are noticed in the listing and never probed for.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from operator import attrgetter
from typing import Literal, NamedTuple

from nanocode.hot.globs import Glob
from nanocode.hot.ignore import FILES, REPOSITORY, Scope, Shelf, above

Kinds = Literal["all", "files", "dirs", "leaves"]

KINDS = {"all": ("file", "dir", "link", "other"), "files": ("file",), "dirs": ("dir",), "leaves": ("file", "link")}
# How many entries are taken between two looks at the stop byte.
PIECE = 4096
_RULES = frozenset((REPOSITORY, *FILES))
_by_name = attrgetter("name")
# Half the time of calling the class, and half of all an entry costs here.
_new = tuple.__new__


class Entry(NamedTuple):
    """One thing found: its path relative to the root, `/` between the names, and "file", "dir", "link" or "other"."""

    path: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk found, and what it left out."""

    entries: list[Entry]
    ignored: int
    unreadable: list[tuple[bytes, str]]
    truncated: bool
    stopped: bool
    total: int


def walk(
    root: str | bytes,
    *,
    globs: Sequence[str] = (),
    hidden: bool = False,
    no_ignore: bool = False,
    max_depth: int | None = None,
    limit: int | None = None,
    kinds: Kinds = "all",
    sort: bool = True,
    newest: bool = False,
    excludes: str | None = None,
    stop: bytearray | None = None,
) -> Walk:
    """List what is below `root`, a folder or a symbolic link to one; links are listed and never followed.

    `entries` are in path order when `sort` is set: by the bytes of the names, component by component, a folder before
    its content. Otherwise a folder still comes before its content, and the rest is the file system's order.

    - `.git` of any kind is never listed. Names that start with a dot are not, and not descended, unless `hidden`.
    - Ignore rules as in `ignore.py`, those above `root` included (`above`), unless `no_ignore`. `excludes` is the path
      of the file core.excludesFile names. `ignored` counts the entries left out, a folder as one with all it holds;
      entries left out as hidden or by `globs` are not in it.
    - `globs` (see `Glob`): without any that lacks a leading `!`, all entries pass; else those that one matches. A
      leading `!` takes entries out, and a folder with all its content. The last glob that matches an entry decides. A
      folder that passes nothing itself is still descended. Globs bring back neither ignored nor hidden entries.
    - `kinds`: "files" gives kind "file" alone, "dirs" kind "dir" alone, "leaves" files and links. Devices, sockets
      and FIFOs are "other".
    - `newest` puts the entries in the order of their last change, newest first, those of one time in path order; a
      link's time is its own, and what is gone meanwhile counts as of 1970.
    - `max_depth`: 1 gives the entries of `root` itself, 0 nothing; None has no bound.
    - `limit`: at most that many entries, the first ones of the order asked for; `truncated` says that there is at
      least one more. `total` is how many there are; in a truncated walk that is not `newest` it is `limit` + 1, and
      `ignored` and `unreadable` cover the folders that come before the first entry left out, in the order asked for.
    - `stop`: one byte that another thread may set; the walk looks at it before each folder and while it reads a large
      one, then returns what it has of the folders read before, with `stopped`.
    - `unreadable`: folders and files of rules that could not be read, as (path relative to `root`, the system's words
      in lower case); a file of rules above `root` has a path that starts with `../`, excludes its own path.

    Raises FileNotFoundError, NotADirectoryError or PermissionError when `root` itself cannot be listed, ValueError on
    a `kinds` that is none or a negative `limit`. Without recursion; O(entries) time beside the sort of each folder.
    """
    checked(kinds, limit)
    choice = _Choice(globs, KINDS[kinds], hidden, max_depth, sort)
    tree = _Tree(os.fsencode(root), choice, None if no_ignore else os.fsencode(excludes or b""), stop)
    return tree.newest(limit) if newest else tree.walk(limit)


def checked(kinds: str, limit: int | None) -> None:
    """Raise ValueError when `walk` takes no such arguments."""
    if kinds not in KINDS:
        raise ValueError(f"`kinds` is `{kinds}`; use one of {', '.join(f'`{kind}`' for kind in KINDS)}")
    if limit is not None and limit < 0:
        raise ValueError(f"`limit` is `{limit}`; give 0 or more, or None for no limit")


class _Choice:
    """What the caller wants to see."""

    __slots__ = ("_unmatched", "globs", "hidden", "kinds", "max_depth", "sort")

    def __init__(
        self, globs: Sequence[str], kinds: tuple[str, ...], hidden: bool, max_depth: int | None, sort: bool
    ) -> None:
        self.globs = [(Glob(glob.removeprefix("!")), not glob.startswith("!")) for glob in reversed(globs)]
        self._unmatched = None if any(wanted for _, wanted in self.globs) else True
        self.kinds = kinds
        self.hidden = hidden
        self.max_depth = max_depth
        self.sort = sort

    def verdict(self, path: bytes, folder: bool) -> bool | None:
        """True when the globs let `path` pass, False when one takes it out, None when it lacks one that wants it."""
        for glob, wanted in self.globs:
            if (folder or not glob.folders_only) and glob.matches(path):
                return wanted
        return self._unmatched


@dataclass(slots=True)
class _Folder:
    """A folder whose content is being given out."""

    prefix: bytes
    depth: int
    scope: Scope
    entries: list[Entry]
    descents: Iterator[tuple[int, bytes]]  # how many of the entries come before the content of which subfolder
    given: int = 0


class _Tree:
    """One walk in progress."""

    __slots__ = ("_base", "_choice", "_excludes", "_ignored", "_shelf", "_stop", "_top", "_unreadable")

    def __init__(self, top: bytes, choice: _Choice, excludes: bytes | None, stop: bytearray | None) -> None:
        self._top = top
        self._base = top if top.endswith(b"/") else top + b"/"
        self._choice = choice
        self._excludes = excludes
        self._stop = stop
        self._shelf = None if excludes is None else Shelf(excludes, self._report)
        self._ignored = 0
        self._unreadable: list[tuple[bytes, str]] = []

    def walk(self, limit: int | None) -> Walk:
        listing = self._listing(self._top)
        scope = above(os.path.realpath(self._top), self._shelf) if self._shelf else Scope()
        found: list[Entry] = []
        open_folders = [self._folder(b"", 1, scope, listing)]
        truncated = False
        while open_folders and not truncated and not self._stopped():
            folder = open_folders[-1]
            upto, name = next(folder.descents, (len(folder.entries), b""))
            found += folder.entries[folder.given : upto]
            folder.given = upto
            truncated = limit is not None and len(found) > limit
            if not name:
                open_folders.pop()
            elif not truncated and (below := self._below(folder, name)):
                open_folders.append(below)
        total = len(found) if limit is None else min(len(found), limit + 1)
        stopped = bool(open_folders) and not truncated
        return Walk(found[:limit], self._ignored, self._unreadable, truncated, stopped, total)

    def newest(self, limit: int | None) -> Walk:
        walk = self.walk(None)
        entries = sorted(walk.entries, key=self._age)
        truncated = limit is not None and len(entries) > limit
        return replace(walk, entries=entries[:limit], truncated=truncated)

    def _age(self, entry: Entry) -> int:
        try:
            return -os.lstat(self._base + entry.path).st_mtime_ns
        except OSError:
            return 0

    def _stopped(self) -> bool:
        return bool(self._stop and self._stop[0])

    def _listing(self, path: bytes) -> list[os.DirEntry[bytes]]:
        listing: list[os.DirEntry[bytes]] = []
        with os.scandir(path) as entries:
            while not self._stopped() and (piece := list(islice(entries, PIECE))):
                listing += piece
        if self._choice.sort:
            listing.sort(key=_by_name)
        return listing

    def _below(self, folder: _Folder, name: bytes) -> _Folder | None:
        """Open the folder `name` in `folder`; None when it cannot be listed, which is reported."""
        prefix = folder.prefix + name + b"/"
        try:
            listing = self._listing(self._base + prefix)
        except OSError as error:
            self._report(self._base + prefix[:-1], error)
            return None
        return self._folder(prefix, folder.depth + 1, folder.scope.below(name, {}), listing)

    def _folder(self, prefix: bytes, depth: int, scope: Scope, listing: list[os.DirEntry[bytes]]) -> _Folder:
        if self._shelf:
            own = [entry.name for entry in listing if entry.name in _RULES and self._holds_rules(entry)]
            scope = scope.below(b"", self._shelf.own(self._base + prefix, own)) if own else scope
        deepest = self._choice.max_depth
        folder = _Folder(prefix, depth, scope, [], iter(()))
        if deepest is None or depth <= deepest:
            starts = range(0, len(listing), PIECE)
            pieces = (self._sift(folder, listing[at : at + PIECE]) for at in starts if not self._stopped())
            descents = list(chain.from_iterable(pieces))
            folder.descents = iter(() if depth == deepest else descents)
        return folder

    def _sift(self, folder: _Folder, listing: list[os.DirEntry[bytes]]) -> list[tuple[int, bytes]]:
        """Fill `folder.entries` with what the caller wants to see, and say where its subfolders open."""
        choice, prefix, entries = self._choice, folder.prefix, folder.entries
        ignores = folder.scope.ignores if folder.scope else None
        verdict: bool | None = True
        descents: list[tuple[int, bytes]] = []
        for entry in listing:
            name = entry.name
            if name.startswith(b".") and (not choice.hidden or name == REPOSITORY):
                continue
            kind = self._kind(entry)
            if ignores and ignores(name, kind == "dir"):
                self._ignored += 1
                continue
            path = prefix + name
            if choice.globs:
                verdict = choice.verdict(path, kind == "dir")
            if verdict and kind in choice.kinds:
                entries.append(_new(Entry, (path, kind)))
            if kind == "dir" and verdict is not False:
                descents.append((len(entries), name))
        return descents

    def _kind(self, entry: os.DirEntry[bytes]) -> str:
        try:
            # After the first test nothing follows a link, so no answer costs a stat where listings tell the kind.
            if entry.is_symlink():
                return "link"
            return "file" if entry.is_file() else "dir" if entry.is_dir() else "other"
        except OSError as error:
            self._report(entry.path, error)
            return "other"

    def _holds_rules(self, entry: os.DirEntry[bytes]) -> bool:
        return entry.name == REPOSITORY or self._kind(entry) == "file"

    def _report(self, path: bytes, error: OSError) -> None:
        if path.startswith(self._base):
            path = path[len(self._base) :]
        elif path != self._excludes:
            path = os.path.relpath(path, os.path.realpath(self._top))
        self._unreadable.append((path, (error.strerror or str(error)).lower()))
