"""Runs in a child: ends it once whoever started it is gone or lets go; knows nothing of sessions.

The leash is one end of a socket pair. Its other end is closed by the system however the parent dies, so no parent has
to be alive to end its children, and no system needs a call of its own for it.
"""

import os
import select
import signal

# Time for a child to stop its commands and say how far it came.
GRACE_SECONDS = 0.9


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


def _guard(child: int, leash: int, watched: int) -> None:
    """Wait for the end of the leash or of the child, whichever comes first."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for stream in range(3):
        os.close(stream)
    if watched in _ended(None, leash, watched):
        return
    os.kill(child, signal.SIGTERM)
    if not _ended(GRACE_SECONDS, watched):
        os.killpg(os.getpgid(0), signal.SIGKILL)


def _ended(seconds: float | None, *descriptors: int) -> set[int]:
    """Which of these have come to their end, after at most so long."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000)}
