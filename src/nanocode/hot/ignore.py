"""Git's ignore rules for a tree, all in bytes; knows nothing of walking, hidden names or what the files hold.

A file of rules is compiled once (`Rules`): each rule falls apart into the folder it acts in and the name it asks
for, so a name costs one dict, two tuples of affixes and one combined expression, and rules meant for other folders
cost nothing. A `Scope` stacks the rules in force in one folder.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

from nanocode.hot.wildmatch import Place, folder_expression, name_expression, segments

REPOSITORY = b".git"
GIT_FILE = b".gitignore"
# The files of one folder from lowest to highest precedence; only git's own needs a repository.
FILES = (GIT_FILE, b".ignore", b".nanocodeignore")
# git refuses larger files of rules too (PATTERN_MAX_FILE_SIZE in its dir.c).
LARGEST_FILE = 100 << 20
MOST_SPELLINGS = 16

Report = Callable[[bytes, OSError], None]

_BOM = b"\xef\xbb\xbf"


class Rule(NamedTuple):
    """One line: `rank` is twice its line number, plus 1 when it ignores rather than re-includes."""

    rank: int
    folder: bytes | re.Pattern[bytes] | None  # relative, "" or with a slash at the end; None acts in every folder
    name: tuple[Place, ...]
    folders_only: bool


def _line(raw: bytes) -> bytes:
    """Cut what git does not read: from a NUL on, one CR, and the trailing blanks that no backslash keeps."""
    line = raw.removesuffix(b"\r").partition(b"\0")[0]
    bare = line.rstrip(b" ")
    slashes = len(bare) - len(bare.rstrip(b"\\"))
    return bare + b" " if slashes % 2 and len(line) > len(bare) else bare


def _rule(raw: bytes, number: int) -> Rule | None:
    """Compile line `number`; None when it is blank, a comment, or can match nothing."""
    if raw.startswith(b"#"):
        return None
    line = _line(raw)
    negated = line.startswith(b"!")
    pattern = line[negated:]
    folders_only = pattern.endswith(b"/")
    pattern = pattern[: len(pattern) - folders_only]
    anchored = b"/" in pattern
    parts = segments(pattern.removeprefix(b"/"))
    if parts is None or any(not part.places or b"" in part.places for part in parts):
        return None
    rank = number * 2 + (not negated)
    *folders, name = parts
    if not anchored:
        return Rule(rank, None, name.places, folders_only)
    if name.depth is not None:
        folders.append(name)
    return Rule(rank, folder_expression(folders), name.places, folders_only)


class _Names:
    """The name parts of some rules of one file: a table for each kind, so that few are tried on a name."""

    __slots__ = ("_any", "_extensions", "_initials", "_literals", "_match", "_ranks", "_tails")

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._any = 0
        self._literals: dict[bytes, int] = {}
        # Affixes by what a name shows at once, its first byte or last extension; ends without a dot in every list.
        self._initials: dict[bytes, list[tuple[bytes, int]]] = {}
        self._extensions: dict[bytes, list[tuple[bytes, int]]] = {}
        self._tails: list[tuple[bytes, int]] = []
        patterns: list[tuple[bytes, int]] = []
        # The last line comes first everywhere, so the first that fits is the one that counts.
        for rank, name in ((rule.rank, name) for rule in reversed(list(rules)) for name in _spelled_out(rule.name)):
            fixed = b"".join(place for place in name if place and len(place) == 1)
            if name == (None,):
                self._any = rank
                break
            if len(fixed) == len(name):
                self._literals.setdefault(fixed, rank)
            elif len(fixed) + 1 < len(name) or None not in (name[0], name[-1]):
                patterns.append((name_expression(name, b"()"), rank))
            elif name[0]:
                self._initials.setdefault(fixed[:1], []).append((fixed, rank))
            elif b"." in fixed:
                self._extensions.setdefault(fixed[fixed.rindex(b".") :], []).append((fixed, rank))
            else:
                self._tails.append((fixed, rank))
        for tails in self._extensions.values():
            tails += self._tails
            tails.sort(key=lambda tail: -tail[1])
        self._ranks = [rank for _, rank in patterns]
        joined = b"|".join(expression for expression, _ in patterns)
        self._match = re.compile(b"(?:%b)\\Z" % joined, re.DOTALL).match if patterns else None

    def last(self, name: bytes) -> int:
        """Rank of the last rule that asks for `name`, 0 for none."""
        best = self._literals.get(name, self._any)
        for head, rank in self._initials.get(name[:1], ()):
            if name.startswith(head):
                best = max(best, rank)
                break
        for tail, rank in self._extensions.get(name[name.rfind(b".") :], self._tails):
            if name.endswith(tail):
                best = max(best, rank)
                break
        if self._match and (found := self._match(name)):
            best = max(best, self._ranks[(found.lastindex or 1) - 1])
        return best


def _spelled_out(name: tuple[Place, ...]) -> Iterable[tuple[Place, ...]]:
    """The names that small classes stand for: `*.py[co]` is two suffixes, which cost less than an expression."""
    inner_star = None in name[1:-1] or name.count(None) > 1
    if inner_star or prod(len(place) for place in name if place) > MOST_SPELLINGS:
        return (name,)
    return product(*([bytes([byte]) for byte in place] if place else [None] for place in name))


_Finder = Callable[[bytes], int]


class _Finders(NamedTuple):
    """How to look a name up: among the rules that ask for files too, and among all; None when there are none."""

    files: _Finder | None
    folders: _Finder | None


def _finders(rules: list[Rule]) -> _Finders:
    general = [rule for rule in rules if not rule.folders_only]
    return _Finders(*(_Names(some).last if some else None for some in (general, rules)))


def _later(one: _Finder | None, other: _Finder | None) -> _Finder | None:
    """Both tables of one file in one: the rule further down counts."""
    if one and other:
        return lambda name: max(one(name), other(name))
    return one or other


class Rules:
    """One file of rules, compiled in O(size); reading it never fails, a line that can match nothing is dropped."""

    __slots__ = ("_cache", "_everywhere", "_literal", "_patterned")

    def __init__(self, data: bytes) -> None:
        lines = data.removeprefix(_BOM).split(b"\n")
        rules = [rule for number, raw in enumerate(lines, 1) if (rule := _rule(raw, number))]
        self._everywhere = _finders([rule for rule in rules if rule.folder is None])
        self._literal: dict[bytes, list[Rule]] = {}
        self._patterned: list[tuple[re.Pattern[bytes], Rule]] = []
        for rule in rules:
            if isinstance(rule.folder, bytes):
                self._literal.setdefault(rule.folder, []).append(rule)
            elif rule.folder is not None:
                self._patterned.append((rule.folder, rule))
        self._cache: dict[tuple[int, ...], _Finders] = {(): self._everywhere}

    def inside(self, folder: bytes) -> _Finders:
        """What applies to the names in `folder`, a path relative to the file's own folder, "" or with a last slash."""
        active = self._literal.get(folder, [])
        if self._patterned:
            active = active + [rule for pattern, rule in self._patterned if pattern.fullmatch(folder)]
        key = tuple(sorted(rule.rank for rule in active))
        if key not in self._cache:
            placed = _finders(sorted(active, key=lambda rule: rule.rank))
            self._cache[key] = _Finders(*map(_later, self._everywhere, placed))
        return self._cache[key]


@lru_cache(maxsize=512)
def _compiled(data: bytes) -> Rules:
    return Rules(data)


class _Layer(NamedTuple):
    rules: Rules
    base: int  # length of the path of the folder the rules belong to
    git: bool


class Scope:
    """The rules in force in one folder; immutable. `below` steps into a child or adds the folder's own files."""

    __slots__ = ("_files", "_folders", "_layers", "_place", "_repository")

    def __init__(self, place: bytes = b"", layers: tuple[_Layer, ...] = (), repository: bool = False) -> None:
        self._place = place
        self._layers = layers
        self._repository = repository
        found = [layer.rules.inside(place[layer.base :]) for layer in reversed(layers)]
        self._files = [finders.files for finders in found if finders.files]
        self._folders = [finders.folders for finders in found if finders.folders]

    def __bool__(self) -> bool:
        """Whether any rule can apply to an entry of this folder."""
        return bool(self._folders)

    def below(self, name: bytes, own: Mapping[bytes, bytes]) -> "Scope":
        """The scope of child folder `name` (b"" for the same folder) that holds the files `own` (see `Shelf.own`).

        A `.git` in `own` starts a repository: git's rules from above end there, those of `.ignore` and
        `.nanocodeignore` go on.
        """
        place = self._place + name + b"/" if name else self._place
        layers, repository = self._layers, self._repository
        if REPOSITORY in own:
            outer = (layer for layer in layers if not layer.git)
            layers, repository = (_Layer(_compiled(own[REPOSITORY]), len(place), True), *outer), True
        named = FILES if repository else FILES[1:]
        layers += tuple(_Layer(_compiled(own[file]), len(place), file == GIT_FILE) for file in named if file in own)
        return Scope(place, layers, repository)

    def ignores(self, name: bytes, folder: bool) -> bool:
        """Whether the entry `name` of this folder is left out; a symbolic link is no folder, wherever it points."""
        for last in self._folders if folder else self._files:
            rank = last(name)
            if rank:
                return rank % 2 == 1
        return False


class Shelf:
    """Reads the files of rules of a folder; `report` gets the path and the error of each that cannot be read."""

    def __init__(self, excludes: bytes | None, report: Report) -> None:
        self._excludes = excludes
        self._report = report

    def own(self, folder: bytes, names: Iterable[bytes] | None = None) -> dict[bytes, bytes]:
        """Contents of the files of rules in `folder`, by name; for `.git`, the rules the whole repository has.

        `names` are those a listing has shown, `.git` of any kind and regular files only; None looks for each.
        Symbolic links in place of the files are not followed, as in git since 2.32.
        """
        found: dict[bytes, bytes] = {}
        for name in (REPOSITORY, *FILES) if names is None else names:
            path = os.path.join(folder, name)
            if name != REPOSITORY:
                found[name] = self._contents(path, follow=False)
            elif names is not None or os.path.lexists(path):
                found[name] = self._exclusions(folder)
        return found

    def _exclusions(self, folder: bytes) -> bytes:
        """core.excludesFile, then `info/exclude`, which wins (gitignore(5)), as one file."""
        general = self._contents(self._excludes) if self._excludes else b""
        private = self._contents(os.path.join(self._common(folder), b"info", b"exclude"))
        return general.removeprefix(_BOM) + b"\n" + private.removeprefix(_BOM)

    def _common(self, folder: bytes) -> bytes:
        """The repository's folder behind `.git`: itself, or where a worktree's or submodule's file points."""
        place = os.path.join(folder, REPOSITORY)
        pointer = self._contents(place)
        if pointer.startswith(b"gitdir: "):
            place = os.path.join(folder, pointer[8:].rstrip(b"\r\n"))
        return os.path.join(place, self._contents(os.path.join(place, b"commondir")).rstrip(b"\r\n"))

    def _contents(self, path: bytes, follow: bool = True) -> bytes:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
        if b"\0" in path:
            return b""
        try:
            descriptor = os.open(path, flags)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                self._report(path, error)
            return b""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(LARGEST_FILE + 1)
                return data if len(data) <= LARGEST_FILE else b""
        finally:
            os.close(descriptor)


def above(root: bytes, shelf: Shelf) -> Scope:
    """The scope `root` (absolute, links resolved) inherits from its repository, without the files in `root` itself.

    Files of rules are read from the repository's root downwards, nothing beyond it, and nothing when there is no
    repository. When those rules leave out `root` or a folder above it, or it lies in a `.git`, they are dropped: a root
    that was named is walked, under the rules in and below it alone.
    """
    names: list[bytes] = []
    at = root
    while not os.path.lexists(os.path.join(at, REPOSITORY)):
        parent, name = os.path.split(at)
        if not name:
            return Scope()
        names.append(name)
        at = parent
    scope = Scope()
    for name in reversed(names):
        scope = scope.below(b"", shelf.own(at))
        if name == REPOSITORY or scope.ignores(name, True):
            return Scope(repository=name != REPOSITORY)
        scope = scope.below(name, {})
        at = os.path.join(at, name)
    return scope


def ignored(
    root: str | bytes,
    path: bytes,
    *,
    folder: bool = False,
    excludes: str | None = None,
    report: Report = lambda path, error: None,
) -> bool:
    """Whether a walk of `root` leaves out `path`, by its own rule or by that of a folder above it.

    `path` is relative to `root` and slash-separated, and need not exist; `folder` says what it is; `excludes` is the
    file core.excludesFile names. Opens the files of rules of each folder on the way: O(depth).
    """
    at = os.path.realpath(os.fsencode(root))
    shelf = Shelf(os.fsencode(excludes) if excludes else None, report)
    scope = above(at, shelf)
    *folders, last = path.split(b"/")
    for name in folders:
        scope = scope.below(b"", shelf.own(at))
        if scope.ignores(name, True):
            return True
        scope = scope.below(name, {})
        at = os.path.join(at, name)
    return scope.below(b"", shelf.own(at)).ignores(last, folder)
