"""HTTP/1.1 responses out of bytes, as RFC 9112 has them; knows no socket and no request but its method."""

import re
from functools import lru_cache

from nanocode.http import httpx

_HEAD_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/(\d\.\d) (\d{3})(?: ([^\0\r\n\v\f]*))?")
_FIELD = re.compile(rb"([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*((?:[^\0\s]+(?:[ \t]+[^\0\s]+)*)?)[ \t]*")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]*)?[ \t]*")
# A head, a trailer or a chunk's first line that is longer is no server's of good will.
_LONGEST = 100 << 10
_UNTIL_CLOSE = 1 << 80


class Response:
    """One response, fed as it arrives. `headers` are pairs of bytes, `complete` once the whole body has come.

    `reusable`: the connection may carry another request. Everything here raises httpx.RemoteProtocolError where the
    server breaks the rules.
    """

    def __init__(self, method: str) -> None:
        self.status, self.version, self.reason = 0, b"1.1", b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = self.reusable = False
        self._bodiless = method == "HEAD"
        self._rest = b""
        self._searched = 0
        self._chunked = self._in_trailer = False
        # Of the body: what is still to come of it, or of this chunk and the line end behind it.
        self._left = 0
        self._length = 0

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body in what has just arrived."""
        if self.complete:
            self.reusable = False
            return b""
        if self._rest:
            data, self._rest = self._rest + data, b""
        while not self.status:
            end = _HEAD_END.search(data, self._searched)
            if end is None:
                self._keep(data)
                return b""
            self._open(data[: end.start()])
            data, self._searched = data[end.end() :], 0
        if self._chunked:
            return self._unchunk(data)
        body = data[: self._left]
        self._left -= len(body)
        if not self._left:
            self._end(len(data) == len(body))
        return body

    def close(self) -> None:
        """The server has closed the connection."""
        if self._left >= _UNTIL_CLOSE >> 1:
            self.complete = True
        if self.complete:
            return
        if not self.status:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        got = "incomplete chunked read"
        if not self._chunked:
            got = f"received {self._length - self._left} bytes, expected {self._length}"
        raise httpx.RemoteProtocolError(f"peer closed connection without sending complete message body ({got})")

    def _keep(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/"[: len(data)]):
            raise httpx.RemoteProtocolError(f"illegal status line: {data[:80]!r}")
        if len(data) > _LONGEST:
            raise httpx.RemoteProtocolError("the head of the response does not end")
        # The end may have begun in the last bytes of what has come.
        self._rest, self._searched = data, max(0, len(data) - 2)

    def _open(self, head: bytes) -> None:
        first, _, rest = head.partition(b"\n")
        found = _STATUS.fullmatch(first.removesuffix(b"\r"))
        if found is None:
            raise httpx.RemoteProtocolError(f"illegal status line: {first[:80]!r}")
        headers = _fields(rest)
        status = int(found[2])
        if status == 101:
            raise httpx.RemoteProtocolError("the server switches to a protocol nobody asked for")
        if status < 200:
            return
        self.version, self.status, self.reason, self.headers = found[1], status, found[3] or b"", headers
        self._frame()

    def _frame(self) -> None:
        codings, lengths = self._values(b"transfer-encoding"), set(self._values(b"content-length"))
        if len(lengths) > 1 or not all(each.isdigit() and len(each) <= 20 for each in lengths):
            raise httpx.RemoteProtocolError("bad Content-Length")
        if codings and codings != [b"chunked"]:
            raise httpx.RemoteProtocolError(f"unknown Transfer-Encoding {b', '.join(codings)!r}")
        if self._bodiless or self.status in (204, 304):
            return
        self._chunked = bool(codings)
        if not codings:
            self._left = self._length = int(lengths.pop()) if lengths else _UNTIL_CLOSE

    def _values(self, name: bytes) -> list[bytes]:
        listed = b",".join(value for field, value in self.headers if field.lower() == name)
        return [each.strip().lower() for each in listed.split(b",") if each.strip()]

    def _end(self, clean: bool) -> None:
        self.complete = True
        self.reusable = clean and self.version == b"1.1" and b"close" not in self._values(b"connection")

    def _unchunk(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        at, have = 0, len(data)
        if self._left:
            at = self._go_on(data, parts)
        while at < have and not self._left and not self._in_trailer:
            end = data.find(b"\n", at)
            if end < 0:
                if have - at > _LONGEST:
                    raise httpx.RemoteProtocolError("the head of a chunk does not end")
                break
            size = _chunk_size(data[at : end + 1])
            start, stop = end + 1, end + 1 + size
            if not size:
                self._in_trailer, at = True, start
            elif stop + 2 <= have:
                if data[stop : stop + 2] != b"\r\n":
                    raise _footer(data[stop : stop + 2])
                parts.append(data[start:stop])
                at = stop + 2
            else:
                self._left = size + 2
                at = start + self._go_on(data[start:], parts)
        self._rest = data[at:]
        if self._in_trailer:
            self._skip_trailer()
        return b"".join(parts)

    def _go_on(self, data: bytes, parts: list[bytes]) -> int:
        """Take what has come of a chunk whose end had not; how much of `data` that is."""
        body = data[: max(0, self._left - 2)]
        parts.append(body)
        self._left -= len(body)
        if self._left > 2 or len(data) == len(body):
            return len(body)
        footer = data[len(body) : len(body) + self._left]
        if footer != b"\r\n"[2 - self._left :][: len(footer)]:
            raise _footer(footer)
        self._left -= len(footer)
        return len(body) + len(footer)

    def _skip_trailer(self) -> None:
        rest = self._rest
        for blank in (b"\r\n", b"\n"):
            if rest.startswith(blank):
                self._rest = b""
                self._end(len(rest) == len(blank))
                return
        end = _HEAD_END.search(rest)
        if end is not None:
            _fields(rest[: end.start()])
            self._rest = b""
            self._end(end.end() == len(rest))
        elif len(rest) > _LONGEST:
            raise httpx.RemoteProtocolError("the trailer of the response does not end")


def _fields(lines: bytes) -> list[tuple[bytes, bytes]]:
    if lines[:1] in (b" ", b"\t"):
        raise httpx.RemoteProtocolError("continuation line at start of headers")
    fields = []
    for line in _FOLD.sub(b" ", lines).split(b"\n") if lines else ():
        found = _FIELD.fullmatch(line.removesuffix(b"\r"))
        if found is None:
            raise httpx.RemoteProtocolError(f"illegal header line: {line[:80]!r}")
        fields.append((found[1], found[2]))
    return fields


@lru_cache(1024)
def _chunk_size(line: bytes) -> int:
    """A server uses few sizes, and each of them often."""
    found = _CHUNK.fullmatch(line.removesuffix(b"\r\n"))
    if found is None:
        raise httpx.RemoteProtocolError(f"illegal chunk header: {line[:80]!r}")
    return int(found[1], 16)


def _footer(data: bytes) -> Exception:
    return httpx.RemoteProtocolError(f"malformed chunk footer: {data!r}")
