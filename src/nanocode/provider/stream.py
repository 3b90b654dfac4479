"""The bytes of a response body to deltas, whatever kind of body came; sans-IO, knows nothing of sockets or retries."""

from typing import Any

from nanocode.errors import ProviderError, TransientError
from nanocode.hot import SseDecoder, fuse
from nanocode.hot.deltas import ARGUMENTS, TEXT
from nanocode.jsontext import loads
from nanocode.provider.failures import in_band, server_words
from nanocode.provider.wire import NOTHING, CallDelta, Delta, delta

_BLANK = b"\xef\xbb\xbf \t\r\n"
_PLAIN_LIMIT = 64 << 20


class ChatStream:
    """Feed it reads of a 200 response; it takes an event stream, or a whole completion as plain JSON.

    `done` is set by `[DONE]` or a plain body. Raises what the server says in band, TransientError for a chunk
    that is not JSON, ProviderError for a web page. `where` names the request in errors.
    """

    def __init__(self, where: str) -> None:
        self.done = False
        self._where = where
        self._decoder = SseDecoder()
        self._plain: list[bytes] | None = None
        self._begun = False

    def feed(self, data: bytes) -> list[Delta]:
        if not self._begun:
            data = self._begin(data)
        if self._plain is not None:
            return self._collect(self._plain, data)
        return [found for piece in fuse(self._decoder.feed(data)) if (found := self._meaning(piece)) is not NOTHING]

    def close(self) -> list[Delta]:
        """The deltas of what was still held back at the end of the body."""
        if self._plain is not None:
            return [self._whole(b"".join(self._plain))]
        rest = self._decoder.finish()
        if rest is None:
            return []
        try:
            return [self._delta(*rest)]
        except TransientError:
            return []  # A last event cut in the middle says nothing; the missing finish is the error.

    def _begin(self, data: bytes) -> bytes:
        data = data.lstrip(_BLANK)
        if data:
            self._begun = True
            # A proxy's page or a server that does not stream: the content type is often wrong, the first byte is not.
            self._plain = [] if data[:1] in b"{[<" else None
        return data

    def _collect(self, plain: list[bytes], data: bytes) -> list[Delta]:
        plain.append(data)
        if sum(map(len, plain)) > _PLAIN_LIMIT:
            raise ProviderError(f"`{self._where}` sent more than {_PLAIN_LIMIT >> 20} MB without a stream")
        return []

    def _whole(self, body: bytes) -> Delta:
        if body.startswith(b"<"):
            words = server_words(body)
            raise ProviderError(
                f"`{self._where}` answered with a web page: {words}", "check OPENAI_BASE_URL and the proxy"
            )
        self.done = True
        return self._delta("message", body)

    def _meaning(self, piece: tuple[str, bytes] | tuple[int, int, str]) -> Delta:
        if len(piece) == 2:
            return self._delta(*piece)
        kind, position, text = piece
        if kind == ARGUMENTS:
            return Delta(calls=(CallDelta(position, "", "", text),))
        return Delta(text=text) if kind == TEXT else Delta(reasoning=text)

    def _delta(self, name: str, payload: bytes) -> Delta:
        if not payload or payload.strip() == b"[DONE]":
            self.done = self.done or bool(payload)
            return NOTHING
        found = delta(self._parsed(name, payload))
        if found.error:
            raise in_band(self._where, found.error)
        return found

    def _parsed(self, name: str, payload: bytes) -> Any:
        try:
            value = loads(payload)
        except ValueError:
            value = payload.decode("utf-8", "replace")
            if name != "error":
                raise TransientError(f"`{self._where}` sent a chunk that is not JSON: {value[:200]}") from None
        if name == "error":
            raise in_band(self._where, value.get("error", value) if isinstance(value, dict) else value)
        return value
