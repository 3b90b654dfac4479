"""Cuts a stream of bytes into server-sent events (WHATWG HTML 9.2.6); knows nothing of sockets, JSON or chat."""

from nanocode.errors import ProviderError

LIMIT = 64 << 20
BOM = b"\xef\xbb\xbf"
LINE_ENDS = (b"\n", b"\r")
# 18 digits of milliseconds are 31 million years, and `int` refuses some thousands of digits.
RETRY_DIGITS = 18


def too_large(limit: int) -> ProviderError:
    """The error of an event that outgrew `limit` bytes; both twins raise it."""
    return ProviderError(
        f"one event of the server's stream is larger than `{limit}` bytes; ask for a shorter answer",
        hint="check that the base URL is that of a chat endpoint which streams server-sent events",
    )


def not_bytes(data: object) -> TypeError:
    """The error of a read that is not `bytes`; both twins raise it."""
    return TypeError(f"`feed` takes `bytes`, not `{type(data).__name__}`")


class SseDecoder:
    """The events of a byte stream, however the reads cut it: every split gives the same events.

    `limit` is the largest number of bytes that one event may hold at a time: the data so far (each value and
    the LF that joins it) and the line being read, without its line end; below 1 is a ValueError. `last_event_id`
    is that of the last finished block, "" before the first; `retry` is the reconnection time the server last
    asked for, in milliseconds, None before that. Both outlive `finish`. Use one decoder in one thread at a time.
    """

    __slots__ = (
        "_data",
        "_event",
        "_head",
        "_id",
        "_limit",
        "_line",
        "_size",
        "_skip_lf",
        "_spent",
        "last_event_id",
        "retry",
    )

    last_event_id: str
    retry: int | None
    _head: bytes | None  # the part of a BOM seen so far; None once the stream has begun
    _line: bytearray  # the line being read
    _data: bytes | bytearray | None  # the values so far, joined by LF; None before the first
    _size: int  # bytes of the values so far, each with its LF

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 1:
            raise ValueError(f"`limit` is `{limit}`; give at least 1 byte")
        self._limit = limit
        self.last_event_id = ""
        self.retry = None
        self._restart()

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Take the next read; return (event name, data) of every event that it completes, in order.

        CR, LF and CRLF end a line, also when cut by a read; a CR at the end of a read ends its line at once. One
        leading BOM is dropped. Of a field, one space after the colon is dropped; names are case-sensitive; `id`
        with NUL, `retry` with anything but 1 to 18 ASCII digits, unknown fields and comments are ignored. An
        event is dispatched by an empty line, and only when it had a `data` field. Its data are the raw bytes of
        the values joined by LF, not decoded; its name is decoded as UTF-8 with replacement, and is "message" when
        absent or empty. Linear in the bytes fed, whatever the size of the reads.

        Raises TypeError for anything but `bytes`, and ProviderError when an event outgrows the limit: events that
        the same read completed are lost with it, and every later call raises again until `finish`.
        """
        if not isinstance(data, bytes):
            raise not_bytes(data)
        if self._spent:
            raise too_large(self._limit)
        data = self._opened(data)
        if not data:
            return []
        lines = data.splitlines()
        tail = b"" if data.endswith(LINE_ENDS) else lines.pop()
        self._skip_lf = data.endswith(b"\r")
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line = bytearray()
        events = self._dispatched(lines)
        self._line += tail
        if self._size + len(self._line) > self._limit:
            self._overflow()
        return events

    def finish(self) -> tuple[str, bytes] | None:
        """End the stream; return its last block when no empty line dispatched it, or None when that has no data.

        The standard drops this block; a chat client may find a complete answer in it. Bytes after the last line
        end count as a line. `last_event_id` does not follow such a block. The decoder is then as new, but for
        `last_event_id` and `retry`, for the stream of the next connection.
        """
        if self._line:
            self._field(bytes(self._line))
        block = None if self._data is None else (self._event or "message", bytes(self._data))
        self._restart()
        return block

    def _restart(self) -> None:
        self._spent = False
        self._head = b""
        self._skip_lf = False
        self._line = bytearray()
        self._event = ""
        self._id = self.last_event_id
        self._data = None
        self._size = 0

    def _opened(self, data: bytes) -> bytes:
        if self._head is not None:
            data = self._head + data
            if len(data) < len(BOM) and BOM.startswith(data):
                self._head = data
                return b""
            self._head = None
            data = data.removeprefix(BOM)
        if self._skip_lf and data:
            self._skip_lf = False
            data = data.removeprefix(b"\n")
        return data

    def _dispatched(self, lines: list[bytes]) -> list[tuple[str, bytes]]:
        events = []
        for line in lines:
            if line:
                self._field(line)
                continue
            if self._data is not None:
                events.append((self._event or "message", bytes(self._data)))
                self._data = None
                self._size = 0
            self._event = ""
            self.last_event_id = self._id
        return events

    def _field(self, line: bytes) -> None:
        if self._size + len(line) > self._limit:
            self._overflow()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= RETRY_DIGITS:
            self.retry = int(value)

    def _add(self, value: bytes) -> None:
        self._size += len(value) + 1
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _overflow(self) -> None:
        self._restart()
        self._spent = True
        raise too_large(self._limit)
