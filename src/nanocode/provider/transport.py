"""Connections to the model server, kept over turns: httpx's transport for its direct ones; knows no proxy.

httpx's own costs three times as much a chunk and a third of the start-up; it stays in use where a proxy is set.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from urllib.request import getproxies

from nanocode.http import certificates, httpx
from nanocode.provider.http1 import Response

# Beyond this the server waits until what has come is taken.
_ENOUGH = 1 << 20
# The next address is tried when the first one has not answered by then (RFC 8305).
_NEXT_ADDRESS_SECONDS = 0.25
_Origin = tuple[str, str, int | None]


def transport(keep_seconds: float) -> httpx.AsyncBaseTransport | None:
    """For `httpx.AsyncClient`. None, which means httpx's own, where the system names a proxy."""
    proxies = getproxies()
    return None if any(proxies.get(each) for each in ("http", "https", "all")) else _Direct(keep_seconds)


class _Connection(asyncio.Protocol):
    """One connection, with at most one response on its way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._parts: list[bytes] = []
        self._size = 0
        self._response: Response | None = None
        self._failure: httpx.TransportError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._full = self._paused = False
        self.open, self.idle_since = True, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            # Nothing was asked: a late word of the server's, such as that it has waited long enough.
            self.drop()
            return
        try:
            body = self._response.feed(data)
        except httpx.RemoteProtocolError as error:
            self._failure = error
            self.drop()
        else:
            self._parts.append(body)
            self._size += len(body)
            if self._size > _ENOUGH and not self._paused:
                self._paused = True
                self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._response is not None and self._failure is None:
            self._failure = _cut(self._response) if error is None else httpx.ReadError(str(error))
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    async def ask(self, method: str, message: bytes, seconds: dict[str, float | None]) -> Response:
        """Send a request; its response once the head is there."""
        self._response = response = Response(method)
        self._transport.write(message)
        # A server may refuse before it has read all.
        while self._full and not response.status and not self._failure:
            await self._wait(seconds.get("write"), httpx.WriteTimeout)
        while not response.status:
            self._raise()
            await self._wait(seconds.get("read"), httpx.ReadTimeout)
        return response

    async def receive(self, seconds: float | None) -> bytes:
        """What has come of the body, b"" at its end."""
        while not self._size:
            if self._response is None or self._response.complete:
                return b""
            self._raise()
            await self._wait(seconds, httpx.ReadTimeout)
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def rest(self) -> bool:
        """End the exchange; whether the connection can carry another."""
        reusable = self.open and not self._paused and self._response is not None and self._response.reusable
        self._response, self.idle_since = None, self._loop.time()
        if not reusable:
            self.drop()
        return reusable

    def drop(self) -> None:
        self.open = False
        self._transport.abort()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float | None, late: type[httpx.TimeoutException]) -> None:
        self._waiter = waiter = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, _expire, waiter, late)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


def _cut(response: Response) -> httpx.TransportError | None:
    """What the server broke by closing here, if anything."""
    try:
        response.close()
    except httpx.RemoteProtocolError as error:
        return error
    return None


def _expire(waiter: asyncio.Future[None], late: type[httpx.TimeoutException]) -> None:
    if not waiter.done():
        waiter.set_exception(late("no byte within the time limit"))


class _Body(httpx.AsyncByteStream):
    def __init__(self, direct: "_Direct", origin: _Origin, connection: _Connection, seconds: float | None) -> None:
        self._direct, self._origin, self._connection, self._seconds = direct, origin, connection, seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self._connection.receive(self._seconds):
            yield data

    async def aclose(self) -> None:
        self._direct.give_back(self._origin, self._connection)


class _Direct(httpx.AsyncBaseTransport):
    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._idle: dict[_Origin, list[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        message = _head(request) + b"".join([part async for part in request.stream])
        seconds, origin = request.extensions.get("timeout", {}), _origin(request.url)
        connection = await self._kept(origin) or await self._connect(request.url, seconds.get("connect"))
        try:
            response = await connection.ask(request.method, message, seconds)
        except BaseException:
            connection.drop()
            raise
        body = _Body(self, origin, connection, seconds.get("read"))
        facts = {"http_version": b"HTTP/" + response.version, "reason_phrase": response.reason}
        return httpx.Response(response.status, headers=response.headers, stream=body, extensions=facts)

    def give_back(self, origin: _Origin, connection: _Connection) -> None:
        if connection.rest():
            self._idle.setdefault(origin, []).append(connection)

    async def aclose(self) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.drop()
        self._idle.clear()

    async def _kept(self, origin: _Origin) -> _Connection | None:
        loop, idle = asyncio.get_running_loop(), self._idle.get(origin, [])
        if idle:
            # In the first of these the loop looks at its sockets, in the second it tells of one that the server closed.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        while idle:
            connection = idle.pop()
            if connection.open and loop.time() - connection.idle_since < self._keep_seconds:
                return connection
            connection.drop()
        return None

    async def _connect(self, url: httpx.URL, seconds: float | None) -> _Connection:
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx.UnsupportedProtocol(f"`{url}` is no http:// or https:// address")
        if url.scheme == "https" and self._tls is None:
            self._tls = certificates()
        tls = self._tls if url.scheme == "https" else None
        port = url.port or (443 if tls else 80)
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, url.host, port, ssl=tls, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error) or "no connection within the time limit") from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error)) from error
        return connection


def _origin(url: httpx.URL) -> _Origin:
    return url.scheme, url.host, url.port


def _head(request: httpx.Request) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    for name, value in request.headers.raw:
        if any(each in value for each in (b"\r", b"\n", b"\0")) or value != value.strip():
            raise httpx.LocalProtocolError(f"illegal header value {value!r}")
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
