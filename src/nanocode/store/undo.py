"""Takes back what write and edit did, turn by turn, from images of the files before and after; needs and knows no git.

The images lie in a folder beside the session, or in memory, with a journal of JSON lines. What other tools do to
files is not covered, and a file that changed since is never overwritten.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nanocode import atomic
from nanocode.errors import UsageError
from nanocode.events import Event, RunStarted, ToolStarted
from nanocode.jsontext import dumps, loads
from nanocode.store import folders
from nanocode.store.images import TOTAL_LIMIT, Images

FILE_LIMIT = 16 << 20
_JOURNAL = "journal.jsonl"


class Image(NamedTuple):
    """A file at one time: the digest of its bytes and its mode; ABSENT when there was none."""

    digest: str = ""
    mode: int = 0


ABSENT = Image()
# What a crash between the two images leaves; no file is equal to it.
UNKNOWN = Image("unknown")


class Change(NamedTuple):
    """One file over one turn; `made` are the folders that were created for it, deepest first."""

    before: Image
    after: Image
    made: tuple[str, ...] = ()


@dataclass(slots=True)
class Turn:
    """One turn: changes by real path; `lost` paths were changed but not kept; `others` counts tools not covered."""

    number: int
    changes: dict[str, Change] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    others: dict[str, int] = field(default_factory=dict)


class Undo:
    """The changes of one session, and a sink of its events, which tell the turns. `folder` None keeps all in memory.

    `covers` says whether a tool changes files only through `changing`, or none. When an image cannot be kept, `warn`
    says so once, and the change itself still happens.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        covers: Callable[[str], bool] = lambda name: True,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.done: list[Turn] = []
        self.undone: list[Turn] = []
        self._images = Images(folder)
        self._covers, self._warn = covers, warn
        self._warned = False
        if folder is not None:
            self._replay(folder / _JOURNAL)
        self._turn = Turn(max((turn.number for turn in self.done + self.undone), default=0))

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._turn = Turn(self._turn.number + 1)
        elif isinstance(event, ToolStarted) and not self._covers(event.name):
            self._turn.others[event.name] = self._turn.others.get(event.name, 0) + 1
            if self._turn.changes:
                self._journal({"turn": self._turn.number, "others": self._turn.others})

    @contextmanager
    def changing(self, path: Path) -> Iterator[None]:
        """Wrap the moment in which a tool changes `path`, in whatever thread; images are kept before and after it."""
        turn, real = self._turn, os.path.realpath(path)
        made = _missing_parents(real)
        before = self._keep(turn, real)
        if before is not None:
            self._add(turn, real, Change(before, UNKNOWN, made))
        try:
            yield
        finally:
            after = self._keep(turn, real)
            if before is not None and after is not None:
                self._add(turn, real, Change(before, after, made))

    def _keep(self, turn: Turn, path: str) -> Image | None:
        """The image of a file as it is now, kept; None when that cannot be."""
        try:
            return _image(path, self._images.put)
        except OSError as error:
            turn.lost.add(path)
            if not self._warned:
                self._warn(f"`/undo` does not cover `{path}`: {error.strerror or error}")
            self._warned = True
            return None

    def _add(self, turn: Turn, path: str, change: Change) -> None:
        self._note(turn, path, change)
        self._journal({"turn": turn.number, "others": turn.others, "path": path, "change": change})
        self._fit()

    def _note(self, turn: Turn, path: str, change: Change) -> None:
        if turn not in self.done:
            self.done.append(turn)
            self.undone.clear()
        if path in turn.changes:
            change = Change(turn.changes[path].before, change.after, turn.changes[path].made)
        turn.changes[path] = change
        if change.before == change.after:
            del turn.changes[path]
            if not turn.changes:
                self.done.remove(turn)

    def _fit(self) -> None:
        """Forget the oldest turns while the images take too much room."""
        while self._images.total > TOTAL_LIMIT and len(self.done) > 1:
            self._journal({"dropped": self.done.pop(0).number})
            turns = [*self.done, *self.undone]
            self._images.keep_only({image.digest for turn in turns for c in turn.changes.values() for image in c[:2]})

    def undo(self) -> Turn:
        """Restore the files of the last turn that changed any; all or, with a UsageError, none."""
        if not self.done:
            raise UsageError("there is nothing to undo", "only what write and edit did in this session can be undone")
        turn = self.done[-1]
        self._exchange("undo", {path: (each.after, each.before) for path, each in turn.changes.items()})
        # The longer path first: another change may have made the folder around it.
        for made in sorted({made for each in turn.changes.values() for made in each.made}, key=len, reverse=True):
            with suppress(OSError):
                os.rmdir(made)
        self.undone.append(self.done.pop())
        self._journal({"undone": turn.number})
        return turn

    def redo(self) -> Turn:
        """Bring back what the last `undo` took away; all or, with a UsageError, nothing."""
        if not self.undone:
            raise UsageError("there is nothing to redo", "only what `/undo` took back can be redone")
        turn = self.undone[-1]
        self._exchange("redo", {path: (each.before, each.after) for path, each in turn.changes.items()})
        self.done.append(self.undone.pop())
        self._journal({"redone": turn.number})
        return turn

    def _exchange(self, verb: str, steps: dict[str, tuple[Image, Image]]) -> None:
        current = {path: _now(path) for path in steps}
        changed = [f"`{path}`" for path, step in steps.items() if current[path] not in step]
        if changed:
            raise UsageError(
                f"nothing was restored: changed after that turn: {', '.join(changed)}",
                f"`/diff` shows what the turn did; put the later change away by hand, then `/{verb}` again",
            )
        try:
            contents = {path: self.content(wanted) for path, (_, wanted) in steps.items()}
        except (OSError, KeyError):
            raise UsageError("nothing was restored: the kept contents are gone", "they are kept for a month") from None
        done: list[str] = []
        try:
            for path, (_, wanted) in steps.items():
                done.append(path)
                _restore(path, wanted, contents[path])
        except OSError as error:
            for path in done:
                image = current[path] or ABSENT
                with suppress(OSError, KeyError):
                    _restore(path, image, self.content(image))
            raise UsageError(f"nothing was restored: {error.strerror or error}: `{done[-1]}`") from None

    def content(self, image: Image) -> bytes:
        """The bytes of a kept image, none for ABSENT. Raises OSError or KeyError when they are gone."""
        return self._images.get(image.digest) if image.digest else b""

    def _journal(self, record: dict[str, Any]) -> None:
        if self._images.folder is None:
            return
        with suppress(OSError):
            folders.make(self._images.folder)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with open(os.open(self._images.folder / _JOURNAL, flags, 0o600), "wb", buffering=0) as file:
                # The first newline ends what a crash or a full disk has torn off; blank lines are passed over.
                file.write(b"\n" + dumps(record) + b"\n")

    def _replay(self, path: Path) -> None:
        with suppress(OSError):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError, KeyError, TypeError, IndexError):
                    self._again(loads(line))

    def _again(self, record: dict[str, Any]) -> None:
        if "turn" in record:
            same = self.done and self.done[-1].number == record["turn"]
            turn = self.done[-1] if same else Turn(record["turn"])
            turn.others = record["others"]
            if "change" in record:
                before, after, made = record["change"]
                self._note(turn, record["path"], Change(Image(*before), Image(*after), tuple(made)))
        elif "dropped" in record:
            self.done = [turn for turn in self.done if turn.number != record["dropped"]]
        elif "undone" in record:
            self.undone.append(self.done.pop())
        elif "redone" in record:
            self.done.append(self.undone.pop())


def _now(path: str) -> Image | None:
    """The image of a file for comparison, None when it cannot be read."""
    try:
        return _image(path, Images(None).put)
    except OSError:
        return None


def _image(path: str, put: Callable[[bytes], str]) -> Image:
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if facts.st_size > FILE_LIMIT:
            raise OSError(errno.EFBIG, f"larger than {FILE_LIMIT >> 20}MB", path)
        return Image(put(Path(path).read_bytes()), stat.S_IMODE(facts.st_mode))
    except FileNotFoundError:
        return ABSENT


def _restore(path: str, image: Image, data: bytes) -> None:
    if image == ABSENT:
        Path(path).unlink(missing_ok=True)
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(Path(path), data)
    os.chmod(path, image.mode)


def _missing_parents(path: str) -> tuple[str, ...]:
    missing, parent = [], os.path.dirname(path)
    while parent and not os.path.exists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    return tuple(missing)
