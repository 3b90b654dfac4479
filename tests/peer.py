"""A scripted model server on loopback: every byte of its HTTP/1.1 is the test's own; knows no nanocode."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

PATIENCE = 60


class Gate:
    """A place in a reply where the server waits for the test; `reached` tells the test that it got there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def wait_until_reached(self) -> None:
        assert self.reached.wait(PATIENCE), "the server never got to this gate"

    def open(self) -> None:
        self._opened.set()

    def pass_through(self) -> None:
        self.reached.set()
        self._opened.wait(PATIENCE)


@dataclass(frozen=True)
class Request:
    """What came in. `connection` counts the TCP connections, so that a test can tell a pooled one."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    connection: int

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages


@dataclass(frozen=True)
class Reply:
    """What goes out: each of `parts` is one chunk of the body, or a gate.

    `held` is a gate before the first byte. `end`: "" whole, "close" without the last chunk, "reset" by RST, "stall"
    for ever. `reset_at_once` drops the connection before the first byte; `plain` sends a Content-Length instead of
    chunks.
    """

    parts: tuple[bytes | Gate, ...] = ()
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "text/event-stream"),)
    end: str = ""
    plain: bool = False
    reset_at_once: bool = False
    held: Gate | None = None

    def ending(self, end: str) -> "Reply":
        return replace(self, end=end)


Script = Sequence[Reply] | Callable[[Request], Reply]


@dataclass
class Peer:
    """The server; use it as a context manager. After the script's end it answers 500 and notes the request."""

    script: Script
    models: Sequence[str] = ("test-model",)
    requests: list[Request] = field(default_factory=list)
    unexpected: list[Request] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> "Peer":
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._closed = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        # Wakes `accept`, which closing alone does not.
        socket.create_connection(self._listener.getsockname()).close()
        self._threads[0].join(PATIENCE)
        self._listener.close()
        for connection in self._connections:
            _shut(connection)
        for thread in self._threads:
            thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        number = 0
        while True:
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            if self._closed.is_set():
                connection.close()
                return
            number += 1
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as source:
            try:
                while (request := _request(source, number)) and self._answer(connection, request):
                    pass
            except OSError:
                return

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Whether the connection goes on."""
        if request.method == "GET" and request.path.endswith("/models"):
            listed = json.dumps({"object": "list", "data": [{"id": each} for each in self.models]}).encode()
            return _send(connection, Reply((listed,), plain=True), self._closed)
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        if callable(self.script):
            reply = self.script(request)
        elif number <= len(self.script):
            reply = self.script[number - 1]
        else:
            self.unexpected.append(request)
            reply = error(500, "the script has ended")
        return _send(connection, reply, self._closed)


def _request(source: Any, connection: int) -> Request | None:
    line = source.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    headers = {}
    while header := source.readline().decode("latin-1").strip():
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    raw = source.read(length := int(headers.get("content-length", 0)))
    if len(raw) < length:
        # The other side was killed while it wrote.
        return None
    return Request(line[0], line[1], headers, raw, connection)


def _send(connection: socket.socket, reply: Reply, closed: threading.Event) -> bool:
    if reply.held:
        reply.held.pass_through()
    if reply.reset_at_once:
        _reset(connection)
        return False
    plain = b"".join(part for part in reply.parts if isinstance(part, bytes))
    framing = ("Content-Length", str(len(plain))) if reply.plain else ("Transfer-Encoding", "chunked")
    head = "".join(f"{name}: {value}\r\n" for name, value in (*reply.headers, framing))
    connection.sendall(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode())
    for part in reply.parts:
        if isinstance(part, Gate):
            part.pass_through()
        elif part:
            connection.sendall(part if reply.plain else b"%x\r\n%s\r\n" % (len(part), part))
    if reply.end == "stall":
        closed.wait(PATIENCE)
    if reply.end == "reset":
        _reset(connection)
    if not reply.end and not reply.plain:
        connection.sendall(b"0\r\n\r\n")
    return not reply.end


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _shut(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        # A reader in another thread wakes at once; closing alone would leave it waiting.
        connection.shutdown(socket.SHUT_RD)
    connection.close()


def sse(value: Any) -> bytes:
    """One event: JSON of a value, or bytes as they are."""
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


DONE = sse(b"[DONE]")


def chunk(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more})


def cut(text: str, pieces: int) -> Iterator[str]:
    size = max(1, -(-len(text) // pieces))
    yield from (text[at : at + size] for at in range(0, len(text), size))


def text(words: str, pieces: int = 3) -> list[bytes]:
    return [chunk({"content": piece}) for piece in cut(words, pieces)]


def reasoning(words: str, pieces: int = 2, name: str = "reasoning_content") -> list[bytes]:
    return [chunk({name: piece}) for piece in cut(words, pieces)]


def call(
    name: str, arguments: dict[str, Any] | str, id: str = "call_1", index: int = 0, pieces: int = 3
) -> list[bytes]:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    start = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
    more = [{"index": index, "function": {"arguments": piece}} for piece in cut(written, pieces)]
    return [chunk({"tool_calls": [each]}) for each in (start, *more)]


def usage(sent: int = 100, written: int = 20, cached: int = 0) -> bytes:
    counts = {"prompt_tokens": sent, "completion_tokens": written, "prompt_tokens_details": {"cached_tokens": cached}}
    return sse({"choices": [], "usage": counts})


def reply(*parts: list[bytes] | bytes | Gate, finish: str | None = None) -> Reply:
    """A whole answer: role first, the parts, the finish that fits them, usage, and `[DONE]`."""
    flat: list[bytes | Gate] = []
    for part in parts:
        flat += part if isinstance(part, list) else [part]
    calls = any(isinstance(part, bytes) and b'"tool_calls"' in part for part in flat)
    end = chunk({}, finish or ("tool_calls" if calls else "stop"))
    return Reply((chunk({"role": "assistant", "content": ""}), *flat, end, usage(), DONE))


def cut_off(*parts: list[bytes] | bytes | Gate, end: str = "close") -> Reply:
    """An answer that breaks off after the parts."""
    whole = reply(*parts)
    return replace(whole, parts=whole.parts[:-3], end=end)


def error(status: int, message: str, *headers: tuple[str, str], **more: Any) -> Reply:
    body = json.dumps({"error": {"message": message, **more}}).encode()
    return Reply((body,), status, (("Content-Type", "application/json"), *headers), plain=True)
