"""Runs in a child: ends it once whoever started it is gone or lets go; knows nothing of sessions.

The leash is one end of a socket pair. Its other end is closed by the system however the parent dies, so no parent has
to be alive to end its children, and no system needs a call of its own for it.
"""

import os
import signal
import socket
import time
from contextlib import suppress
from threading import Thread

# Time for a child to stop its commands and say how far it came.
GRACE_SECONDS = 0.9


def hold(descriptor: int) -> None:
    """Watch the leash in a thread: at its end this process gets TERM, and after the grace its group gets KILL."""
    # A command of this child that held the leash too would keep the parent from seeing the child's end.
    os.set_inheritable(descriptor, False)
    Thread(target=_watch, args=(socket.socket(fileno=descriptor),), daemon=True).start()


def _watch(leash: socket.socket) -> None:
    with suppress(OSError):
        while leash.recv(1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(os.getpgid(0), signal.SIGKILL)
