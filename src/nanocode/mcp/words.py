"""What a server says on stderr: the end in memory, the start in a log file; knows nothing of its protocol."""

import asyncio
import os
from pathlib import Path
from typing import BinaryIO, TextIO

_TAIL_BYTES, _LOG_BYTES = 4 << 10, 1 << 20
_TAIL_LINES = 5
_READ = 64 << 10


class Words:
    """A pipe for the stderr of processes, their `sink`: else they would paint over the terminal."""

    def __init__(self, log: Path) -> None:
        self._source, sink = os.pipe()
        os.set_blocking(self._source, False)
        self.sink: TextIO = os.fdopen(sink, "w")
        self._end = b""
        self._room = _LOG_BYTES
        self._log = _opened(log)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._source, self._readable)

    def tail(self) -> str:
        """The last lines, read to this moment."""
        self._readable()
        lines = self._end.decode("utf-8", "replace").strip().splitlines()[-_TAIL_LINES:]
        return "\n".join(line.rstrip() for line in lines if line.strip())

    def close(self) -> None:
        self.sink.close()
        if self._source >= 0:
            self._loop.remove_reader(self._source)
            os.close(self._source)
            self._source = -1
        if self._log is not None:
            self._log.close()
            self._log = None

    def _readable(self) -> None:
        while self._source >= 0:
            try:
                data = os.read(self._source, _READ)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._source)
                return
            self._end = (self._end + data)[-_TAIL_BYTES:]
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self._log is None or self._room <= 0:
            return
        try:
            self._log.write(data[: self._room])
            self._room -= len(data)
        except OSError:
            # A full disk must not end a server that works.
            self._room = 0


def _opened(log: Path) -> BinaryIO | None:
    try:
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
    except OSError:
        return None
