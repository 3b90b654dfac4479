"""A session on disk: append-only JSON lines, a sink of the event stream, and the way back; knows no agent and no model.

The first line is the header. Every later one is a record with `id` and `parentId`; the conversation is the chain of
parents that ends at the last record, so that a fork or a compaction rewrites nothing. A line is one `write` on a file
opened to append, under a lock that lives as long as the process: a crash leaves a torn last line at worst.
"""

import errno
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
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
    """What a session file holds: its header, every message ever, and the `view` that the next request goes on from."""

    header: dict[str, Any]
    messages: list[Message] = field(default_factory=list)
    view: list[Message] = field(default_factory=list)
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    cost: float | None = 0.0
    turns: int = 0
    name: str = ""
    last_id: int | None = None
    skipped: int = 0


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
    def resume(cls, path: Path, **options: Any) -> "Transcript":
        """Open an existing file, cut a torn tail off, and read it into `saved`.

        Raises UsageError when another process has it open or it is no session.
        """
        opened = cls(path, {}, **options)
        opened._file = _locked(path, os.O_RDWR | os.O_APPEND)
        with open(opened._file, "rb", closefd=False) as file:
            data = file.read()
        try:
            opened.saved = read(data)
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
            case UsageReported(usage, cost):
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
        self._record("name", {"name": name})
        self._since_name = 0

    def _begin(self, message: Message) -> None:
        header = self.saved.header
        if self._size or self._waiting or "title" in header:
            return
        header["title"] = title(message.text) if isinstance(message, User) else ""
        self._write(dumps({"type": "session", "version": VERSION, **header}) + b"\n")

    def _record(self, kind: str, fields: dict[str, Any]) -> None:
        if self.path is None:
            return
        parent = self.saved.last_id
        self.saved.last_id = 1 if parent is None else parent + 1
        about = {"type": kind, "id": self.saved.last_id, "parentId": parent, "time": round(time.time(), 3)}
        line = dumps(about | fields) + b"\n"
        self._since_name += len(line)
        if self.name and self._since_name > NAME_WINDOW // 2:
            self._since_name = 0
            parent, self.saved.last_id = self.saved.last_id, self.saved.last_id + 1
            line += dumps({"type": "name", "id": self.saved.last_id, "parentId": parent, "name": self.name}) + b"\n"
        self._write(line)

    def _write(self, line: bytes) -> None:
        if self.path is None:
            return
        self._waiting.append(self._redact(line))
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


def read(data: bytes) -> Saved:
    """A session from the bytes of its file; a torn last line and lines that are no records are passed over.

    Raises ValueError when the first line is no header of this version or an older one.
    """
    first, *lines = data[: max(data.rfind(b"\n"), 0)].split(b"\n")
    header = loads(first) if first else None
    if not isinstance(header, dict) or header.pop("type", None) != "session":
        raise ValueError("its first line is no header")
    if not isinstance(header.get("id"), str):
        raise ValueError("its header has no id")
    if not isinstance(version := header.pop("version", None), int) or version > VERSION:
        raise ValueError(f"it has version {version}, and this nanocode knows {VERSION}")
    saved = Saved(header)
    for record in _chain(list(_records(lines, saved))):
        try:
            _take(saved, record)
        except (KeyError, TypeError, ValueError):
            saved.skipped += 1
    return saved


def _records(lines: Iterable[bytes], saved: Saved) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            record = loads(line)
        except ValueError:
            saved.skipped += 1
            continue
        if isinstance(record, dict) and isinstance(record.get("id"), int):
            saved.last_id = record["id"]
            yield record
        else:
            saved.skipped += 1


def _chain(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """From the last record up its parents, oldest first; a lost parent is replaced by the record before."""
    places = {record["id"]: place for place, record in enumerate(records)}
    chain, at = [], len(records) - 1
    while at >= 0:
        chain.append(records[at])
        parent = records[at].get("parentId")
        at = -1 if parent is None else min(places.get(parent, at - 1), at - 1)
    return chain[::-1]


def _take(saved: Saved, record: dict[str, Any]) -> None:
    kind = record["type"]
    if kind == "message":
        for about in _ABOUT:
            record.pop(about, None)
        message = from_json(record)
        saved.messages.append(message)
        saved.view.append(message)
    elif kind in ("usage", "job"):
        saved.usage += Usage(**record["usage"])
        saved.cost = None if saved.cost is None or record["cost"] is None else saved.cost + record["cost"]
        saved.turns += kind == "usage"
    elif kind == "compaction":
        saved.view = [from_json(each) for each in record["messages"]]
    elif kind == "name":
        saved.name = str(record["name"])


_ABOUT = ("type", "id", "parentId", "time")
