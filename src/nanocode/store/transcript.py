"""A session on disk: append-only JSON lines, a sink of the event stream, and the way back; knows no agent and no model.

The first line is the header. Every later one is a record with `id` and `parentId`; the conversation is the chain of
parents that ends at the last record, so that a fork or a compaction rewrites nothing. A line is one `write` on a file
opened to append, under a lock that lives as long as the process: a crash leaves a torn last line at worst.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from nanocode.errors import UsageError
from nanocode.events import Compacted, Event, JobChanged, MessageAdded, RunEnded, RunStarted, UsageReported
from nanocode.jsontext import dumps, loads
from nanocode.messages import Message, Usage, User, from_json, to_json
from nanocode.store import folders

try:
    import fcntl
except ImportError:  # Windows has no flock: two processes on one session are not kept apart there
    fcntl = None  # type: ignore[assignment]

VERSION = 1
# The name of a session is repeated so that it always stands within this much of the file's end.
NAME_WINDOW = 16 << 10
_TITLE = 120


@dataclass(slots=True)
class Saved:
    """What a session file holds: its header, its messages, and the `view` that the next request goes on from.

    `parents` has for each message the id of the record before it; it is empty where the messages are of no file.
    """

    header: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    view: list[Message] = field(default_factory=list)
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    cost: float | None = 0.0
    turns: int = 0
    name: str = ""
    last_id: int | None = None
    skipped: int = 0
    parents: list[int | None] = field(default_factory=list)


class Transcript:
    """The file of one session, open to append. Call it with every event; `path` None keeps nothing.

    `redact` takes secrets out of each line. When a line cannot be written, `warn` says so once; the lines wait and go
    with the next one that can.
    """

    def __init__(
        self,
        path: Path | None,
        header: dict[str, Any],
        *,
        redact: Callable[[bytes], bytes] = bytes,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.path, self.name = path, ""
        self.saved = Saved(header)
        self._redact, self._warn = redact, warn
        self._waiting: list[bytes] = []
        self._file: int | None = None
        self._size = self._since_name = 0
        self._warned = False

    @classmethod
    def resume(cls, path: Path, header: dict[str, Any] | None = None, **options: Any) -> "Transcript":
        """Open an existing file, cut a torn tail off, and read it into `saved`; `header` begins one that is empty.

        Raises UsageError when another process has it open or it is no session.
        """
        opened = cls(path, {}, **options)
        opened._file = _locked(path, os.O_RDWR | os.O_APPEND)
        with open(opened._file, "rb", closefd=False) as file:
            data = file.read()
        if header is not None and b"\n" not in data and _HEADER.startswith(data[: len(_HEADER)]):
            # It was made beforehand, or a crash tore its first line off.
            os.ftruncate(opened._file, 0)
            opened.saved = Saved(header)
            return opened
        try:
            opened.saved = read(data, brief=True)
        except ValueError as error:
            opened.close()
            raise UsageError(f"`{path}` is not a session: {error}", "`/resume` lists the sessions") from None
        opened._size = data.rfind(b"\n") + 1
        if opened._size < len(data):
            os.ftruncate(opened._file, opened._size)
        opened.name = opened.saved.name
        opened._since_name = NAME_WINDOW
        return opened

    @property
    def id(self) -> str:
        return str(self.saved.header["id"])

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted(model):
                self.saved.header.setdefault("model", model)
            case MessageAdded(message):
                self._begin(message)
                self._record("message", to_json(message))
            case UsageReported(usage, cost) if self._size or self._waiting:
                counts = {"input": usage.input, "output": usage.output, "cached": usage.cached}
                self._record("usage", {"usage": counts, "cost": cost})
            case Compacted(before, after, _, messages):
                self._record("compaction", {"before": before, "after": after, "messages": [*map(to_json, messages)]})
            case JobChanged(id, state, usage=usage, cost=cost) if event.ended and self._size:
                counts = {"input": usage.input, "output": usage.output, "cached": usage.cached}
                self._record("job", {"job": id, "state": state, "usage": counts, "cost": cost})
            case RunEnded() if self._size:
                self._record("end", {"stopReason": event.stop_reason, "error": event.error})

    def rename(self, name: str) -> None:
        """Give the session a name, which stands in listings instead of its first words."""
        self.name = name
        if self._size or self._waiting:
            self._record("name", {"name": name})
            self._since_name = 0

    def begin(self, messages: Sequence[Message], model: str, name: str) -> None:
        """Start with messages of another session."""
        self(RunStarted(model))
        self.name = name
        self._begin(messages[0])
        if self.path is not None:
            self._write(b"".join([self._line("message", to_json(message)) for message in messages]))

    def data(self) -> bytes:
        """The file, with what could not be written to it so far; b"" when there is none. Raises OSError."""
        written = b"" if self._file is None or self.path is None else self.path.read_bytes()
        return written + b"".join(self._waiting)

    def rewind(self, data: bytes, parent: int | None) -> list[Message]:
        """Go on from the record `parent` of `data`, None for the beginning; the view there.

        What came after it stays in the file, on a branch that leads nowhere.
        """
        self._record("rewind", {"parentId": parent})
        return read(data, brief=True, until=-1 if parent is None else parent).view

    def _begin(self, message: Message) -> None:
        header = self.saved.header
        if self._size or self._waiting or "title" in header:
            return
        header["title"] = title(message.text) if isinstance(message, User) else ""
        line = self._dumped({"type": "session", "version": VERSION, **header})
        self._write(line + (self._line("name", {"name": self.name}) if self.name else b""))

    def _record(self, kind: str, fields: dict[str, Any]) -> None:
        if self.path is not None:
            self._write(self._line(kind, fields))

    def _line(self, kind: str, fields: dict[str, Any]) -> bytes:
        parent = self.saved.last_id
        self.saved.last_id = 1 if parent is None else parent + 1
        about = {"type": kind, "id": self.saved.last_id, "parentId": parent, "time": round(time.time(), 3)}
        line = self._dumped(about | fields)
        self._since_name += len(line)
        if self.name and self._since_name > NAME_WINDOW // 2:
            self._since_name = 0
            parent, self.saved.last_id = self.saved.last_id, self.saved.last_id + 1
            line += self._dumped({"type": "name", "id": self.saved.last_id, "parentId": parent, "name": self.name})
        return line

    def _dumped(self, record: dict[str, Any]) -> bytes:
        return self._redact(dumps(record) + b"\n")

    def _write(self, line: bytes) -> None:
        if self.path is None:
            return
        self._waiting.append(line)
        data = b"".join(self._waiting)
        try:
            self._append(data)
        except OSError as error:
            if not self._warned:
                self._warn(f"the session is not saved: {error.strerror or error}: `{self.path}`; going on without")
            self._warned = True
            return
        self._waiting.clear()
        if self._warned:
            self._warn("the session is saved again, with what had been missing")
        self._warned = False

    def _append(self, data: bytes) -> None:
        assert self.path is not None
        if self._file is None:
            folders.make(self.path.parent)
            self._file = _locked(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        written = 0
        with suppress(InterruptedError):
            written = os.write(self._file, data)
        if written < len(data):
            # A full disk takes a part: without it the file ends with a whole line again.
            os.ftruncate(self._file, self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def sync(self) -> None:
        """Bring what was written to the disk itself; may take long, so call it in a thread."""
        if self._file is not None:
            with suppress(OSError):
                getattr(os, "fdatasync", os.fsync)(self._file)

    def close(self) -> None:
        """Release the file and its lock; nothing is written after that."""
        if self._file is not None:
            os.close(self._file)
        self._file, self.path = None, None


def _locked(path: Path, flags: int) -> int:
    file = os.open(path, flags, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise UsageError(
            f"the session `{path.stem.rpartition('_')[2]}` is open in another nanocode",
            "close it there, or start a new one without --continue, --resume and --session",
        ) from None
    except OSError:
        pass  # A network file system without locks: better unlocked than not saved.
    return file


def title(text: str) -> str:
    """The first words of a prompt, on one line."""
    line = " ".join(text[: 4 * _TITLE].split())
    return line if len(line) <= _TITLE else line[: _TITLE - 1] + "…"


def read(data: bytes, *, brief: bool = False, until: float = inf) -> Saved:
    """A session from the bytes of its file; a torn last line and lines that are no records are passed over.

    With `brief`, what a compaction took out of the view is not decoded, and `messages` begins behind it. `until` is the
    id of the record that the conversation ends with, by default the last one. Raises ValueError when the first line is
    no header of this version or an older one.
    """
    saved, found = Saved(_header(data)), memoryview(data)
    # Ids grow along the file, forks or not: the parent, or the record before where it is lost, is the next one found.
    parent, compacted = until, False
    for start, end in _lines_backwards(data):
        if brief and compacted and data.startswith(_LONG, start):
            continue
        try:
            record = loads(found[start:end])
            if saved.last_id is None:
                saved.last_id = int(record["id"])
            if (compacted and brief) or record["id"] > parent:
                _count(saved, record)
                continue
            parent = -1 if record.get("parentId") is None else record["parentId"]
            compacted = _take(saved, record, compacted) or compacted
        except (ArithmeticError, KeyError, TypeError, ValueError):
            saved.skipped += 1
    saved.messages.reverse()
    saved.parents.reverse()
    if not compacted:
        saved.view = saved.messages.copy()
    return saved


def _header(data: bytes) -> dict[str, Any]:
    first = data[: max(data.find(b"\n"), 0)]
    header = loads(first) if first else None
    if not isinstance(header, dict) or header.pop("type", None) != "session":
        raise ValueError("its first line is no header")
    if not isinstance(header.get("id"), str):
        raise ValueError("its header has no id")
    if not isinstance(version := header.pop("version", None), int) or version > VERSION:
        raise ValueError(f"it has version {version}, and this nanocode knows {VERSION}")
    return header


def _lines_backwards(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the whole lines lie, without their newlines, from the last to the second."""
    end = data.rfind(b"\n")
    while (before := data.rfind(b"\n", 0, end)) >= 0:
        yield before + 1, end
        end = before


def _take(saved: Saved, record: dict[str, Any], compacted: bool) -> bool:
    """Add a record of the conversation; whether it is what the view begins with."""
    kind = record["type"]
    if kind == "message":
        saved.messages.append(from_json(record))
        saved.parents.append(record.get("parentId"))
    elif kind == "compaction" and not compacted:
        saved.view = [*map(from_json, record["messages"]), *reversed(saved.messages)]
        return True
    else:
        _count(saved, record)
    return False


def _count(saved: Saved, record: dict[str, Any]) -> None:
    """Add what a record says of the session as a whole: what was spent is spent, on whatever branch."""
    kind = record["type"]
    if kind in ("usage", "job"):
        usage, cost = Usage(**record["usage"]), record["cost"]
        saved.cost = None if saved.cost is None or cost is None else saved.cost + cost
        saved.usage += usage
        saved.turns += kind == "usage"
    elif kind == "name":
        saved.name = saved.name or str(record["name"])


# How the first line begins.
_HEADER = b'{"type":"session",'
# The records that hold messages.
_LONG = (b'{"type":"message",', b'{"type":"compaction",')
