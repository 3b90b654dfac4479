"""Signals that ask this process to end, where the system has them; knows nothing of what they end."""

import asyncio
import signal
from collections.abc import Callable, Mapping

# Windows has no SIGHUP.
ENDINGS = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))


def hear(actions: Mapping[signal.Signals, Callable[[], object]]) -> None:
    """Call these from the running loop. On Windows it hears none; there Ctrl-C cancels what `asyncio.run` runs."""
    loop = asyncio.get_running_loop()
    try:
        for number, act in actions.items():
            loop.add_signal_handler(number, act)
    except NotImplementedError:
        pass


def leave(numbers: Mapping[signal.Signals, object]) -> None:
    """Hear these no longer."""
    loop = asyncio.get_running_loop()
    try:
        for number in numbers:
            loop.remove_signal_handler(number)
    except NotImplementedError:
        pass
