"""Runs in a child: ends it once whoever started it is gone or lets go; knows nothing of sessions.

The leash is one end of a socket pair. Its other end is closed by the system however the parent dies, so no parent has
to be alive to end its children, and no system needs a call of its own for it. The other way about, the guard is told
which commands the child runs, so that they end with it however it dies.
"""

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf

# Time for a child to stop its commands and say how far it came.
GRACE_SECONDS = 0.9
_READ = 1 << 12
# By the command itself, before it is one: a child that told for it could be killed between its start and that.
# Where the guard is gone, it runs all the same.
_TELL = 'trap "" PIPE; echo $$ >&0 2>/dev/null; trap - PIPE; exec "$@" </dev/null'

# In a child, the way to its guard.
_guards: list[int] = []


def hold(descriptor: int) -> None:
    """Leave the leash to a guard: at its end this process gets TERM, and after the grace its group gets KILL.

    The guard is a process: a thread could not run while the child is stopped or stuck in native code. Call it
    while this process has one thread.
    """
    watched, alive = os.pipe()
    child = os.getpid()
    if os.fork() == 0:
        os.close(alive)
        _guard(child, descriptor, watched)
        os._exit(0)
    os.close(watched)
    os.close(descriptor)
    _guards.append(alive)


def bound(words: Sequence[str]) -> tuple[list[str], int | None]:
    """What starts these words as a command whose group ends with this child, and the stdin it needs; None without one.

    It must lead its group. Call `ended` after its end.
    """
    return (["/bin/sh", "-c", _TELL, "sh", *words], _guards[0]) if _guards else ([*words], None)


def ended(group: int) -> None:
    """This group has ended; what it left behind on purpose may outlive the child."""
    for guard in _guards:
        with suppress(OSError):
            os.write(guard, b"-%d\n" % group)


def _guard(child: int, leash: int, watched: int) -> None:
    """Wait for the end of the leash or of the child, whichever comes first, and end what is left."""
    # What kills the child's group does not kill the guard.
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for stream in range(3):
        os.close(stream)
    watch = _Watch(watched)
    if not watch.until_end(leash):
        os.kill(child, signal.SIGTERM)
        if not watch.until_end(seconds=GRACE_SECONDS):
            watch.groups.add(child)
    for group in watch.groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class _Watch:
    """What comes through the pipe that ends with the child: `groups` are those that run."""

    def __init__(self, pipe: int) -> None:
        self.groups: set[int] = set()
        self._pipe, self._rest = pipe, b""

    def until_end(self, leash: int | None = None, seconds: float = inf) -> bool:
        """Note what is told until the child's end; False when the leash or the time ends first."""
        poll, until = select.poll(), time.monotonic() + seconds
        for descriptor in (self._pipe, leash):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        while ready := poll.poll(None if seconds == inf else max(0, until - time.monotonic()) * 1000):
            if self._pipe not in dict(ready):
                return False
            if not (data := os.read(self._pipe, _READ)):
                return True
            self._note(data)
        return False

    def _note(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for number in map(int, lines):
            (self.groups.add if number > 0 else self.groups.discard)(abs(number))
