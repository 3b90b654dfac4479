"""One command in its own process group, its output fed on as it comes; knows nothing of models or limits."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from nanocode import orphans
from nanocode.errors import ToolError
from nanocode.jobs import leash

# After the command has ended a background child may hold the pipe: this much silence, or this long in all, is enough.
_SILENCE_SECONDS, _DRAIN_SECONDS = 0.1, 1.0
_GRACE_SECONDS = 0.5
_READ = 1 << 16


class Process:
    """A started command; stdin is empty, stdout and stderr come together through `feeds`. Close it in a `finally`.

    asyncio's own subprocess waits until the pipe is closed, which a background child can put off for ever; so
    the exit and the pipe are watched apart. Raises OSError when the command cannot be started.
    """

    def __init__(
        self, words: list[str], cwd: Path, environ: Mapping[str, str], feeds: Sequence[Callable[[bytes], None]]
    ) -> None:
        if not hasattr(os, "killpg"):
            raise ToolError("commands need a POSIX system; on Windows, run nanocode in WSL")
        self._feeds = feeds
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._source, sink = os.pipe()
        self._popen: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        words, guard = leash.bound(words)
        stdin = subprocess.DEVNULL if guard is None else guard
        try:
            self._popen = subprocess.Popen(
                words, stdin=stdin, stdout=sink, stderr=sink, cwd=cwd, env=environ, start_new_session=True
            )
        finally:
            os.close(sink)
            if self._popen is None:
                os.close(self._source)
        os.set_blocking(self._source, False)
        self._loop.add_reader(self._source, self._readable)
        self._group = self._popen
        if guard is None:
            orphans.watch(self._group.pid)
        self._exited = self._watch(self._group)

    def _watch(self, popen: subprocess.Popen[bytes]) -> "asyncio.Future[int]":
        if not hasattr(os, "pidfd_open"):
            waiting = asyncio.ensure_future(asyncio.to_thread(popen.wait))
            waiting.add_done_callback(lambda _: self._let_go())
            return waiting
        exited: asyncio.Future[int] = self._loop.create_future()
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._reap, exited)
        return exited

    def _reap(self, exited: "asyncio.Future[int]") -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        code = self._group.wait()
        self._let_go()
        if not exited.done():
            exited.set_result(code)

    def _let_go(self) -> None:
        """What the command has left behind on purpose may outlive this process, however it dies."""
        leash.ended(self._group.pid)
        orphans.forget(self._group.pid)

    async def wait(self) -> int:
        """The exit code, negative for a signal, once the output has gone silent too."""
        code = await asyncio.shield(self._exited)
        await self._drain()
        return code

    async def stop(self) -> None:
        """End the whole group: TERM, a moment, KILL."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait({self._exited}, timeout=_GRACE_SECONDS)
        finally:
            self._signal(signal.SIGKILL)
        await self._drain()

    def close(self) -> None:
        """Kill a command that still runs, with its group; a child that it left in the background may go on.

        What such a child writes is read and dropped: at a closed pipe it would die of its next line.
        """
        self._feeds = ()
        running = not self._exited.done()
        if running:
            self._signal(signal.SIGKILL)
        if self._pidfd >= 0:
            self._reap(self._exited)
        if running and not self._ended.done():
            self._finish()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._group.pid, number)

    async def _drain(self) -> None:
        until = self._loop.time() + _DRAIN_SECONDS
        while not self._ended.done() and self._loop.time() < until:
            self._silent = True
            await asyncio.wait({self._ended}, timeout=_SILENCE_SECONDS)
            if self._silent:
                return

    def _readable(self) -> None:
        try:
            data = os.read(self._source, _READ)
        except BlockingIOError:
            return
        self._silent = False
        if data:
            for feed in self._feeds:
                feed(data)
        else:
            self._finish()

    def _finish(self) -> None:
        self._loop.remove_reader(self._source)
        os.close(self._source)
        self._ended.set_result(None)
