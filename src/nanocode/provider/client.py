"""The only place with sockets to the model: requests, their streams, their retries; knows nothing of tools' meaning."""

import asyncio
import errno
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy
from os import urandom

from nanocode import __version__
from nanocode.errors import NanocodeError, ProviderError, TransientError
from nanocode.events import Emit, Retrying
from nanocode.http import certificates, httpx
from nanocode.jsontext import loads
from nanocode.messages import Assistant, Message
from nanocode.nearest import nearest
from nanocode.provider import failures, wire
from nanocode.provider.assemble import Assembly
from nanocode.provider.auth import Key
from nanocode.provider.catalog import Model, is_opencode
from nanocode.provider.reading import Reading
from nanocode.provider.transport import transport
from nanocode.settings import Settings
from nanocode.tool import Tool

# A tool may run for minutes between two requests; httpx would drop the connection after 5 s.
_KEEP_ALIVE_SECONDS = 600.0
_ERROR_BODY = 64 << 10
# asyncio joins the failures of several addresses into one text without a number.
_ERRNO = re.compile(r"\[Errno (-?\d+)\]")


class Client:
    """A conversation's line to its model server; the connection pool lives over turns. Close it with `aclose`.

    `partial` holds what had arrived of an answer that was cancelled, None when nothing had.
    """

    def __init__(self, settings: Settings, key: Key) -> None:
        self.partial: Assistant | None = None
        self._settings, self._key = settings, key
        self._where = f"POST {settings.endpoint}"
        self._asks_usage = True
        self._session = urandom(16).hex()
        direct = transport(_KEEP_ALIVE_SECONDS)
        self._http = httpx.AsyncClient(
            transport=direct,
            # The direct one reads them when it first needs them.
            verify=True if direct else certificates(),
            timeout=httpx.Timeout(settings.idle_seconds, connect=settings.connect_seconds),
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE_SECONDS),
            headers={
                "Authorization": f"Bearer {key.value}",
                "User-Agent": settings.user_agent or f"nanocode/{__version__}",
                "Content-Type": "application/json",
                "Accept": "text/event-stream, application/json",
                # Compression would hold deltas back until a block is full.
                "Accept-Encoding": "identity",
            },
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    def sibling(self) -> "Client":
        """A client for a second answer at the same time, over the same connections and in the same server session."""
        return copy(self)

    async def respond(self, model: Model, messages: Sequence[Message], tools: Sequence[Tool], emit: Emit) -> Assistant:
        """The model's answer; its deltas are emitted as they come.

        Transient failures are tried again after a pause, and nothing of a cut answer is kept. Raises
        ProviderError; TransientError after the last try.
        """
        headers, self.partial = self._headers(), None
        for attempt in range(1, self._settings.tries + 1):
            try:
                return await self._attempt(model, messages, tools, emit, headers)
            except TransientError as error:
                if attempt == self._settings.tries:
                    raise
                pause = failures.delay(attempt, self._settings.retry_seconds, error.retry_after)
                emit(Retrying(attempt, round(pause, 3), str(error)))
                await asyncio.sleep(pause)
            except failures.ModelMissing as error:
                raise await self._with_nearest(error, model.id) from None
        raise AssertionError("`tries` is at least 1")

    async def models(self) -> list[str]:
        """The ids that the server lists, sorted. Raises ProviderError when it cannot be asked."""
        url = self._settings.models_url
        try:
            answer = await self._http.get(url, headers=self._headers(), timeout=self._settings.connect_seconds)
            if answer.status_code != 200:
                raise self._refused(f"GET {url}", answer, answer.content)
            return sorted(str(each["id"]) for each in loads(answer.content)["data"])
        except httpx.ReadTimeout:
            words = f"`GET {url}` gave no answer within {self._settings.connect_seconds:g} s"
            raise ProviderError(words, "NANOCODE_CONNECT_SECONDS sets how long to wait") from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._in_transit(f"GET {url}", error) from None
        except (ValueError, KeyError, TypeError):
            raise ProviderError(f"`GET {url}` gave no model list", "check OPENAI_BASE_URL") from None

    def _headers(self) -> dict[str, str]:
        if not is_opencode(self._settings.endpoint):
            return {}
        # OpenCode Go answers 400 `MissingSessionID` to requests without the first.
        return {
            "x-opencode-session": self._session,
            "x-opencode-client": "nanocode",
            "x-opencode-request": urandom(16).hex(),
        }

    async def _attempt(
        self, model: Model, messages: Sequence[Message], tools: Sequence[Tool], emit: Emit, headers: dict[str, str]
    ) -> Assistant:
        body = wire.request(model, messages, tools, max_output=self._settings.max_output, usage=self._asks_usage)
        try:
            async with self._opened(body, headers) as response:
                assembly = await self._read(response, emit)
        except _UsageRefused:
            self._asks_usage = False
            return await self._attempt(model, messages, tools, emit, headers)
        taken = {call.id for each in messages if isinstance(each, Assistant) for call in each.calls}
        return assembly.finish(taken)

    @asynccontextmanager
    async def _opened(self, body: bytes, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        try:
            async with self._http.stream("POST", self._settings.endpoint, content=body, headers=headers) as response:
                if response.status_code != 200:
                    raise self._refused(self._where, response, await _start_of(response))
                yield response
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise self._in_transit(self._where, error) from None

    async def _read(self, response: httpx.Response, emit: Emit) -> Assembly:
        reading = Reading(self._where, emit)
        try:
            await reading.take(response.aiter_bytes())
        except asyncio.CancelledError:
            self.partial = reading.assembly.interrupted()
            raise
        return reading.assembly

    def _refused(self, where: str, response: httpx.Response, body: bytes) -> NanocodeError:
        status, headers = response.status_code, response.headers
        if status in (400, 422) and self._asks_usage and b"stream_options" in body:
            return _UsageRefused("the server refuses `stream_options`")
        if response.is_redirect:
            words = f"`{where}` redirects to `{headers.get('location', '')}`"
            return ProviderError(words, "set OPENAI_BASE_URL to where the API really is")
        error = failures.refusal(where, status, headers, body, self._key, time.time())
        error.args = (self._redacted(str(error)),)
        return error

    def _in_transit(self, where: str, error: Exception) -> NanocodeError:
        words = f"`{where}` failed: {self._redacted(str(error)) or type(error).__name__}"
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return ProviderError(words, "check OPENAI_BASE_URL and the key")
        if isinstance(error, httpx.ReadTimeout):
            silence = f"`{where}` stalled: no byte for {self._settings.idle_seconds:g} s"
            return TransientError(silence, "NANOCODE_IDLE_SECONDS sets how long to wait")
        if isinstance(error, httpx.ProxyError):
            return TransientError(words, "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY")
        if "CERTIFICATE" in words.upper():
            return ProviderError(words, "set SSL_CERT_FILE to a file with your authority's certificates")
        if "WRONG_VERSION_NUMBER" in words:
            return ProviderError(f"`{where}`: the server speaks no TLS there", "write http:// in OPENAI_BASE_URL")
        if isinstance(error.__cause__, socket.gaierror):
            words = f"`{where}` failed: the name of the server is not known here"
            return TransientError(words, "check the network and OPENAI_BASE_URL; behind a proxy, set HTTPS_PROXY")
        if set(_ERRNO.findall(str(error))) == {str(errno.ECONNREFUSED)}:
            words = f"`{where}` failed: nothing listens there"
            return TransientError(words, "start the server, or check OPENAI_BASE_URL")
        return TransientError(words, "check OPENAI_BASE_URL, the network and the proxy variables")

    async def _with_nearest(self, error: ProviderError, id: str) -> ProviderError:
        try:
            listed = await self.models()
        except ProviderError as reason:
            return ProviderError(str(error), f"set another model with `/model ID`, --model or MODEL ({reason})")
        near = nearest(id, listed) or listed[:5]
        return ProviderError(str(error), f"set another with `/model ID`, --model or MODEL; nearest: {', '.join(near)}")

    def _redacted(self, words: str) -> str:
        return words.replace(self._key.value, "[key]") if len(self._key.value) > 7 else words


class _UsageRefused(NanocodeError):
    """The server does not know `stream_options`."""


async def _start_of(response: httpx.Response) -> bytes:
    body = b""
    async for data in response.aiter_bytes():
        body += data
        if len(body) >= _ERROR_BODY:
            break
    return body
