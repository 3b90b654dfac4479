"""A server on stdio as a transport of the SDK: its process and its lines; knows nothing of what they mean.

The SDK's own keeps a line without an end in memory, and lets a server live on when nanocode is killed.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import anyio
import mcp_types as types
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from nanocode import orphans
from nanocode.mcp.config import Server

LINE_BYTES = 16 << 20
# A server that is to end may first read what was sent, then has as long for the end of its stdin, then for TERM.
_FLUSH_SECONDS, _GRACE_SECONDS = 0.5, 2.0
_POLL_SECONDS = 0.01
_READ = 64 << 10
_JUNK_CHARACTERS = 200


class TooLong(RuntimeError):
    """The server writes and writes, and ends no line."""


@asynccontextmanager
async def stdio(server: Server, root: Path, errors: TextIO) -> AsyncIterator[tuple[Any, Any]]:
    """Start the server and give the ends to read messages from and to send them to. Raises OSError, TooLong."""
    popen = subprocess.Popen(
        [server.command, *server.args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        bufsize=0,
        cwd=root / server.cwd,
        env=get_default_environment() | dict(server.env),
        start_new_session=True,
    )
    orphans.watch(popen.pid)
    try:
        inward, source = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        sink, outward = anyio.create_memory_object_stream[SessionMessage](0)
        with inward, source, sink, outward:
            async with _pipes(popen) as (reader, writer), anyio.create_task_group() as tasks:
                tasks.start_soon(_receive, reader, inward)
                tasks.start_soon(_send, writer, outward, inward)
                try:
                    yield source, sink
                finally:
                    source.close()
                    sink.close()
                    # The way to the end is bounded, and cut short it would leave the server running.
                    with anyio.CancelScope(shield=True):
                        await _end(popen, writer)
                    tasks.cancel_scope.cancel()
    finally:
        _signal(popen.pid, signal.SIGKILL)
        # Not even KILL ends a process that waits for a broken disk: such a one stays watched.
        with suppress(subprocess.TimeoutExpired):
            popen.wait(_FLUSH_SECONDS)
            orphans.forget(popen.pid)


@asynccontextmanager
async def _pipes(popen: "subprocess.Popen[bytes]") -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    inward, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), popen.stdout)
    # Only the protocol of a reader knows how to wait until a writer has room.
    outward, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), popen.stdin
    )
    try:
        yield reader, asyncio.StreamWriter(outward, protocol, None, loop)
    finally:
        inward.close()
        outward.close()


async def _receive(reader: asyncio.StreamReader, inward: Any) -> None:
    """Hand on line by line. Once nobody takes them read on: who is stuck in writing does not hear that it shall end."""
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        while line := await _line(reader):
            if line.strip():
                await inward.send(_message(line))
        inward.close()
    while await reader.read(_READ):
        pass


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end of the output."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        return b""
    except asyncio.LimitOverrunError:
        raise TooLong(f"it wrote more than {LINE_BYTES >> 20} MB to its stdout without a newline") from None


def _message(line: bytes) -> SessionMessage | ValueError:
    """The message of a line, or what stands there instead."""
    text = line.decode("utf-8", "replace")
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(text, by_name=False))
    except ValueError:
        return ValueError(text[:_JUNK_CHARACTERS])


async def _send(writer: asyncio.StreamWriter, outward: Any, inward: Any) -> None:
    try:
        async for each in outward:
            writer.write(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await writer.drain()
    except OSError:
        # It may live on without reading, and no request would ever be answered.
        inward.close()
    else:
        writer.close()


async def _end(popen: "subprocess.Popen[bytes]", writer: asyncio.StreamWriter) -> None:
    """End the server and what it started: no more input, a moment, TERM, a moment; KILL is for the caller."""
    with anyio.move_on_after(_FLUSH_SECONDS) as flush, suppress(OSError):
        await writer.wait_closed()
    if flush.cancelled_caught:
        writer.transport.abort()
    with anyio.move_on_after(_GRACE_SECONDS):
        while popen.poll() is None:
            await anyio.sleep(_POLL_SECONDS)
    _signal(popen.pid, signal.SIGTERM)
    with anyio.move_on_after(_GRACE_SECONDS):
        while popen.poll() is None or _signal(popen.pid, 0):
            await anyio.sleep(_POLL_SECONDS)


def _signal(group: int, number: int) -> bool:
    """Whether there was anyone to signal."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False
