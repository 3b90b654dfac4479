"""One child: a nanocode of its own in a process group of its own, heard to its end; knows nothing of who asked for it.

The calls block, so that a thread of a session, of a batch and of a cluster's worker can all use them.
"""

import errno
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from nanocode.events import (
    Event,
    JobChanged,
    MessageAdded,
    RunEnded,
    SessionOpened,
    ToolEnded,
    ToolStarted,
    UsageReported,
    decode,
)
from nanocode.frozen import frozen
from nanocode.jobs.leash import GRACE_SECONDS
from nanocode.messages import Usage
from nanocode.settings import FLAGS, Settings

# The leash is held before the rest is imported: a parent may die at any moment.
_BOOT = (
    "import sys; from nanocode.jobs.leash import hold; hold(int(sys.argv[1])); "
    "from nanocode.cli import main; sys.exit(main(sys.argv[2:]))"
)
_KINDS = (SessionOpened, ToolStarted, ToolEnded, UsageReported, JobChanged, RunEnded)
# Most lines are deltas and what tools said, which nobody asks for: they are not even parsed.
_HEARD = (*(f'{{"type":"{kind.type}"'.encode() for kind in _KINDS), b'{"type":"message_end","role":"assistant"')
_LINE_LIMIT, _STDERR_LIMIT, _READ = 64 << 20, 4 << 10, 1 << 16
# Longer than a child's own grace: this is for one that cannot even watch its leash.
_PATIENCE_SECONDS = GRACE_SECONDS + 1.5
_DRAIN_SECONDS = 0.5


@frozen
class Order:
    """What a child is asked; `flags` are nanocode's own, `environ` None takes the environment of this process.

    `extra` goes over either.
    """

    prompt: str
    cwd: Path
    flags: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None
    seconds: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


@frozen
class Outcome:
    """How a child ended. `state`: done, failed, cancelled or timeout; `code` as a shell sees it, None if never started.

    `transient` marks a failure of the surroundings, which another try may cure.
    """

    state: str
    text: str = ""
    error: str = ""
    code: int | None = None
    session: str = ""
    turns: int = 0
    usage: Usage = Usage()
    cost: float | None = 0.0
    seconds: float = 0.0
    transient: bool = False


def environment(settings: Settings, session: str = "") -> dict[str, str]:
    """What a child of this session finds in its environment; it calls the model, so the keys are among it."""
    environ = dict(settings.environ)
    if "PYTHONPATH" in environ:
        # The child works elsewhere, where `PYTHONPATH=src` would name another folder.
        places = environ["PYTHONPATH"].split(os.pathsep)
        environ["PYTHONPATH"] = os.pathsep.join(str(settings.cwd / place) for place in places if place)
    mine = {"OPENAI_BASE_URL": settings.base_url, "OPENAI_API_URL": settings.api_url}
    mine |= {"NANOCODE_DIR": str(settings.directory), "NANOCODE_PARENT_SESSION": session}
    return (
        environ | {name: value for name, value in mine.items() if value} | {"NANOCODE_DEPTH": str(settings.depth + 1)}
    )


def inherited(settings: Settings) -> tuple[str, ...]:
    """The flags of this run that bind its children too."""
    words: list[str] = []
    for flag in FLAGS:
        value = getattr(settings, flag.field) if flag.inherited else None
        if value:
            words += [flag.names[-1], str(value)] if flag.metavar else [flag.names[-1]]
    return tuple(words)


class Child:
    """`run` takes an order to its end, once; `cancel` ends it from any thread. `heard` gets what the child tells.

    `log` gets the child's events as they come, line by line.
    """

    def __init__(
        self, order: Order, heard: Callable[[Event], None] = lambda event: None, log: BinaryIO | None = None
    ) -> None:
        self._order, self._heard, self._log = order, heard, log
        self._lock = Lock()
        self._leash: socket.socket | None = None
        self._why = ""
        self._line, self._errors = bytearray(), b""
        self._ended: RunEnded | None = None
        self._session, self._turns, self._usage, self._cost = "", 0, Usage(), 0.0
        self._priced = True

    def run(self) -> Outcome:
        """Start the child and listen until it has ended; the group is gone afterwards."""
        started = time.monotonic()
        try:
            process = self._start()
        except OSError as error:
            words = f"it could not be started: {error.strerror or error}: `{error.filename or self._order.cwd}`"
            return Outcome("failed", error=words)
        try:
            self._listen(process, started)
        finally:
            self._close()
            code = _ended(process)
        return self._outcome(code, time.monotonic() - started)

    def cancel(self, why: str = "cancelled") -> None:
        """Let go of the leash, and do not wait."""
        with self._lock:
            self._why = self._why or why
            if self._leash is not None:
                # Also wakes `_listen`, in which this end becomes readable.
                with suppress(OSError):
                    self._leash.shutdown(socket.SHUT_RDWR)

    def _start(self) -> "subprocess.Popen[bytes]":
        if not hasattr(os, "fork"):
            raise OSError(errno.ENOTSUP, "child agents need a POSIX system; on Windows, run nanocode in WSL")
        order = self._order
        ours, theirs = socket.socketpair()
        with theirs, tempfile.TemporaryFile() as prompt:
            # A prompt may be longer than an argument or a pipe can be, and others may read the arguments.
            prompt.write(order.prompt.encode("utf-8", "replace"))
            prompt.seek(0)
            words = [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), "--print", "--mode", "json", *order.flags]
            # `env` becomes the program that it is given: same process, and the parent's own environment stays unread.
            words = ["env", *(f"{name}={value}" for name, value in order.extra.items()), *words]
            try:
                process = subprocess.Popen(
                    words if order.extra else words[1:],
                    stdin=prompt,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    cwd=order.cwd,
                    env=order.environ,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError:
                ours.close()
                raise
        with self._lock:
            self._leash = ours
        if self._why:
            self.cancel()
        return process

    def _listen(self, process: "subprocess.Popen[bytes]", started: float) -> None:
        """Read until both streams end. The leash tells the end of a child whose streams something else holds open."""
        assert self._leash is not None
        seconds = self._order.seconds
        deadline = started + seconds if seconds else None
        with selectors.DefaultSelector() as selector:
            for source in (process.stdout, process.stderr, self._leash):
                selector.register(source, selectors.EVENT_READ)  # type: ignore[arg-type]
            streams = 2
            while streams:
                ready = selector.select(None if deadline is None else max(0, deadline - time.monotonic()))
                for key, _ in ready:
                    if key.fileobj is self._leash:
                        selector.unregister(self._leash)
                        deadline = time.monotonic() + (_PATIENCE_SECONDS if self._why else _DRAIN_SECONDS)
                    elif not self._read(key.fd, key.fileobj is process.stdout):
                        selector.unregister(key.fileobj)
                        streams -= 1
                if not ready and deadline is not None and time.monotonic() >= deadline:
                    if self._leash not in selector.get_map():
                        return
                    self.cancel("timeout")

    def _read(self, descriptor: int, events: bool) -> bool:
        data = os.read(descriptor, _READ)
        if not events:
            self._errors = (self._errors + data)[-_STDERR_LIMIT:]
        elif data:
            self._feed(data)
        return bool(data)

    def _feed(self, data: bytes) -> None:
        if self._log is not None:
            self._log.write(data)
        self._line += data
        if b"\n" in data:
            *lines, rest = self._line.split(b"\n")
            self._line = rest
            for line in lines:
                if line.startswith(_HEARD):
                    with suppress(ValueError):
                        self._take(decode(bytes(line)))
        elif len(self._line) > _LINE_LIMIT:
            self._line.clear()

    def _take(self, event: Event) -> None:
        match event:
            case SessionOpened(id=id):
                self._session = id
            case MessageAdded():
                self._turns += 1
            case UsageReported(usage, cost):
                self._spend(usage, cost)
            case JobChanged(usage=usage, cost=cost) if event.ended:
                self._spend(usage, cost)
            case RunEnded():
                self._ended = event
        self._heard(event)

    def _spend(self, usage: Usage, cost: float | None) -> None:
        self._usage += usage
        self._priced = self._priced and cost is not None
        self._cost += cost or 0.0

    def _close(self) -> None:
        with self._lock:
            if self._leash is not None:
                self._leash.close()
            self._leash = None

    def _outcome(self, code: int, seconds: float) -> Outcome:
        ended, state, error, transient = self._ended, "failed", "", False
        if ended is not None and ended.stop_reason == "done":
            state = "done"
        elif self._why:
            state = self._why
            error = f"it took longer than {self._order.seconds:g} s" if state == "timeout" else "it was cancelled"
        elif ended is not None:
            error = ended.error + (f" ({ended.hint})" if ended.hint else "")
            transient = ended.stop_reason in ("transient", "interrupted")
        else:
            error, transient = _death(code, self._errors), code < 0
        return Outcome(
            state,
            ended.text if ended else "",
            error,
            code if code >= 0 else 128 - code,
            self._session,
            self._turns,
            self._usage,
            self._cost if self._priced else None,
            round(seconds, 3),
            transient,
        )


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit code, negative for a signal. What is still there of the group now is not wanted any more."""
    try:
        process.wait(_DRAIN_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    return process.wait()


def _death(code: int, errors: bytes) -> str:
    said = errors.decode("utf-8", "replace").strip()
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
        return f"it was killed by {name}"
    return f"it ended with exit code {code} before its answer" + (f": {said}" if said else "")
