"""Takes in the body of an answer as it arrives, emitting what it says; knows nothing of requests or retries."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from nanocode.errors import NanocodeError
from nanocode.events import Emit
from nanocode.provider.assemble import Assembly
from nanocode.provider.stream import ChatStream

# Usage and the end of the body come at once after the finish; a server that is silent then is not waited for.
_TAIL_SECONDS = 2.0


class Reading:
    """One answer on its way. `where` names its request in errors; `assembly` holds what has come so far."""

    def __init__(self, where: str, emit: Emit) -> None:
        self.assembly = Assembly()
        self._stream = ChatStream(where)
        self._emit = emit
        self._waiting: list[bytes] = []
        self._failure: NanocodeError | None = None

    async def take(self, body: AsyncIterator[bytes]) -> None:
        """Read to the end of the body, or to a silence after the finish.

        Raises what `ChatStream` does, and what breaks the connection before the finish.
        """
        loop, broken = asyncio.get_running_loop(), None
        try:
            async with asyncio.timeout(None) as limit:
                async for data in body:
                    if not self._waiting:
                        # A server's burst is many chunks in one read of the socket, and this loop goes through them
                        # without a pause: the callback runs behind the last, and takes all at the price of one.
                        loop.call_soon(self._burst, limit)
                    self._waiting.append(data)
        except (TimeoutError, httpx.RequestError) as error:
            broken = error
        finally:
            self._flush()
        if self._failure is not None:
            raise self._failure
        if broken is not None and not self._complete():
            raise broken
        for event in self.assembly.end(self._stream.close(), self._stream.done):
            self._emit(event)

    def _complete(self) -> bool:
        return self._stream.done or self.assembly.finished is not None

    def _burst(self, limit: asyncio.Timeout) -> None:
        if not self._waiting:
            return
        self._flush()
        now = asyncio.get_running_loop().time()
        if self._failure is not None:
            limit.reschedule(now)
        elif self._complete() and limit.when() is None:
            limit.reschedule(now + _TAIL_SECONDS)

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        if not data or self._failure is not None:
            return
        try:
            for event in self.assembly.add(self._stream.feed(data)):
                self._emit(event)
        except NanocodeError as error:
            self._failure = error
