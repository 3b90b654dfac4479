"""The MCP SDK, as much of it as nanocode uses; knows nothing of tasks, caches or restarts.

The only module that others import, of those that need the SDK: it takes half a second, so they do it in a thread.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from nanocode import __version__
from nanocode.jsontext import dumps, loads
from nanocode.mcp.config import Server
from nanocode.mcp.inventory import Entry, Inventory
from nanocode.mcp.login import Visit, provider
from nanocode.mcp.stdio import stdio
from nanocode.mcp.words import Words
from nanocode.messages import Image
from nanocode.tool import Foreign

# What the SDK lets out of a connection that fails or breaks.
BREAKS = (MCPError, httpx2.HTTPError, ExceptionGroup, OSError, RuntimeError, ValueError)
_PAGES = 100
_EVENT_BYTES = _BODY_BYTES = 16 << 20
_UNKNOWN_SESSION = re.compile(
    r"session.*(terminated|not found|expired|unknown|invalid)|no valid session", re.IGNORECASE
)

# The SDK logs what servers do wrong, and Python prints that where nobody set up logging.
for _name in ("mcp", "client", "httpx2"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
    logging.getLogger(_name).propagate = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the session does for a server. `ask` answers an elicitation with an object, None declines.

    `logins` is the folder of tokens; `visit` shows a person the address of a login, None: there is no one to show it.
    """

    root: Path
    changed: Callable[[], None]
    junk: Callable[[str], None]
    ended: Callable[[], None]
    logins: Path
    ask: Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]] | None = None
    visit: Visit | None = None


@asynccontextmanager
async def connected(server: Server, words: Words, hooks: Hooks, *, modern: bool) -> AsyncIterator[Client]:
    """A client of the server. Enter and leave it in one task; raises one of BREAKS."""
    async with AsyncExitStack() as stack:
        yield await _opened(stack, server, words, hooks, modern)


async def _opened(stack: AsyncExitStack, server: Server, words: Words, hooks: Hooks, modern: bool) -> Client:
    first: Exception | None = None
    for kind, mode in _ways(server, modern):
        transport = _Watched(_transport(kind, server, words, hooks), hooks.ended)
        try:
            return await stack.enter_async_context(_client(transport, mode, hooks))
        except BREAKS as error:
            if not _wants_another_way(kind, error):
                raise
            first = first or error
    assert first is not None
    raise first


def _ways(server: Server, modern: bool) -> list[tuple[str, str]]:
    """Transport and negotiation, in the order to try. An old server on stdio is silent to what it does not know."""
    if server.protocol:
        return [
            (server.transport or "http", server.protocol if server.protocol in MODERN_PROTOCOL_VERSIONS else "legacy")
        ]
    if server.transport == "stdio":
        return [("stdio", "auto")] if modern else [("stdio", "legacy"), ("stdio", "auto")]
    if server.transport == "sse":
        return [("sse", "legacy")]
    return [("http", "auto")] + ([("sse", "legacy")] if not server.transport else [])


def _wants_another_way(kind: str, error: BaseException) -> bool:
    """Whether the server is there and refuses the way it was spoken to."""
    unspoken = (types.UNSUPPORTED_PROTOCOL_VERSION, types.METHOD_NOT_FOUND)
    for each in leaves(error):
        if isinstance(each, MCPError) and (kind != "stdio" or each.code in unspoken):
            return True
        if isinstance(each, httpx2.HTTPStatusError):
            return True
    return False


def leaves(error: BaseException) -> list[BaseException]:
    """The errors in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def _transport(kind: str, server: Server, words: Words, hooks: Hooks) -> AbstractAsyncContextManager[Any]:
    if kind == "stdio":
        return stdio(server, hooks.root, words.sink)
    own_key = "authorization" in map(str.lower, server.headers)
    auth = None if own_key else provider(server, hooks.logins, hooks.visit)
    if kind == "sse":
        return sse_client(server.url, headers=dict(server.headers), auth=auth)
    return _http(server, auth)


@asynccontextmanager
async def _http(server: Server, auth: httpx2.Auth | None) -> AsyncIterator[Any]:
    timeout = httpx2.Timeout(30, read=None)
    # A body that comes packed may be any size unpacked.
    headers = {"accept-encoding": "identity", **server.headers}
    async with (
        httpx2.AsyncClient(
            headers=headers, timeout=timeout, auth=auth, event_hooks={"response": [_bounded, _explained]}
        ) as http,
        streamable_http_client(server.url, http_client=http, max_sse_event_size=_EVENT_BYTES) as streams,
    ):
        yield streams


async def _bounded(response: httpx2.Response) -> None:
    """Limit what is read into memory at once; the SDK does that for the events of a stream only."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """A body that fails where it gets too long."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > _BODY_BYTES:
                raise httpx2.StreamError(f"it sent more than {_BODY_BYTES >> 20} MB in one answer")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _explained(response: httpx2.Response) -> None:
    """Make a refusal of the session one that the SDK passes on: servers of today answer 400, and without an `id`."""
    if response.status_code != 400 or "mcp-session-id" not in response.request.headers:
        return
    if _UNKNOWN_SESSION.search((await response.aread()).decode("utf-8", "replace")):
        response.status_code = 404


class _Watched:
    """A transport that says when the server's side of it ends, which the SDK keeps to itself."""

    def __init__(self, inner: AbstractAsyncContextManager[Any], ended: Callable[[], None]) -> None:
        self._inner, self._ended = inner, ended

    async def __aenter__(self) -> Any:
        source, sink = await self._inner.__aenter__()
        return _Source(source, self._ended), sink

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


class _Source:
    """The reading end of a transport."""

    def __init__(self, inner: Any, ended: Callable[[], None]) -> None:
        self._inner, self._ended = inner, ended

    @property
    def last_context(self) -> Any:
        return getattr(self._inner, "last_context", None)

    def __aiter__(self) -> "_Source":
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._inner.__anext__()
        except StopAsyncIteration:
            self._ended()
            raise

    async def receive(self) -> Any:
        return await self._inner.receive()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> "_Source":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        left: bool | None = await self._inner.__aexit__(*error)
        return left


def _client(transport: Any, mode: str, hooks: Hooks) -> Client:
    async def roots(context: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri=hooks.root.as_uri(), name=hooks.root.name)])  # type: ignore[arg-type]

    async def elicited(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        if hooks.ask is None or not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        schema = params.requested_schema
        wanted = schema if isinstance(schema, dict) else schema.model_dump(by_alias=True, exclude_none=True)
        answer = await hooks.ask(params.message, wanted)
        return types.ElicitResult(action="decline" if answer is None else "accept", content=answer)

    async def heard(message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            hooks.changed()
        elif isinstance(message, Exception):
            hooks.junk(str(message))

    return Client(
        transport,
        mode=mode,
        client_info=types.Implementation(name="nanocode", version=__version__),
        list_roots_callback=roots,
        elicitation_callback=elicited,
        message_handler=heard,
        cache=None,
    )


async def listed(client: Client) -> Inventory:
    """All tools of the server, page by page. Raises one of BREAKS."""
    tools: list[Entry] = []
    cursor: str | None = None
    for _ in range(_PAGES if client.server_capabilities.tools is not None or is_modern(client) else 0):
        page = await client.list_tools(cursor=cursor)
        tools += map(_entry, page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return Inventory(tuple(tools), is_modern(client))


def is_modern(client: Client) -> bool:
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS


def _entry(tool: types.Tool) -> Entry:
    notes = tool.annotations
    title = tool.title or (notes.title if notes else None) or ""
    reads = bool(notes and notes.read_only_hint)
    return Entry(tool.name, title, (tool.description or "").strip(), dict(tool.input_schema), reads)


async def watch(client: Client, changed: Callable[[], None]) -> None:
    """Call `changed` at each change of the tools, for ever; servers of before 2026 say so unasked."""
    if not is_modern(client):
        return
    try:
        async with client.listen(tools_list_changed=True) as events:
            async for _ in events:
                changed()
    except BREAKS:
        # Not every server offers it; its inventory is then as old as the connection.
        return


def foreign(result: types.CallToolResult) -> Foreign:
    """A result for a model: texts joined, pictures apart, everything else named."""
    parts: list[str] = []
    images: list[Image] = []
    for block in result.content:
        parts.append(_named(block))
        if isinstance(block, types.ImageContent):
            images.append(Image(block.mime_type, block.data))
    structured = result.structured_content
    if structured is not None and not any(_says_the_same(part, structured) for part in parts):
        parts.append(dumps(structured).decode())
    return Foreign("\n".join(parts), tuple(images), bool(result.is_error))


def _named(block: Any) -> str:
    if isinstance(block, types.TextContent):
        return block.text
    if isinstance(block, types.ImageContent | types.AudioContent):
        return f"[{block.type}: {block.mime_type}, {len(block.data) * 3 // 4:,} bytes]"
    if isinstance(block, types.EmbeddedResource):
        inner = block.resource
        if isinstance(inner, types.TextResourceContents):
            return f"[resource {inner.uri}]\n{inner.text}"
        return f"[resource {inner.uri}: {inner.mime_type or 'binary'}, {len(inner.blob) * 3 // 4:,} bytes]"
    return f"[{block.type}: {getattr(block, 'uri', '')} {getattr(block, 'name', '')}]".replace(" ]", "]")


def _says_the_same(text: str, structured: Any) -> bool:
    """Servers repeat structured content as text, some of them without the one key around it."""
    bare = next(iter(structured.values())) if isinstance(structured, dict) and len(structured) == 1 else None
    if isinstance(bare, str) and text == bare:
        return True
    try:
        value = loads(text)
    except ValueError:
        return False
    return bool(value == structured or (bare is not None and value == bare))


def was_refused_unseen(error: BaseException) -> bool:
    """Whether the server surely did not run what was sent: nobody listened, or it did not know the session."""
    causes = leaves(error)
    if all(isinstance(each, httpx2.ConnectError | httpx2.ConnectTimeout) for each in causes):
        return True
    return any(isinstance(each, MCPError) and _UNKNOWN_SESSION.search(each.message) for each in causes)


def said(error: BaseException) -> str:
    """An error in words."""
    first = leaves(error)[0]
    if isinstance(first, httpx2.HTTPStatusError):
        return f"HTTP {first.response.status_code}"
    if isinstance(first, OSError) and first.filename:
        return f"`{first.filename}`: {first.strerror}"
    return str(first).strip() or type(first).__name__


def is_closed(error: BaseException) -> bool:
    """Whether the connection ended under the request."""
    return isinstance(error, MCPError) and error.code == types.CONNECTION_CLOSED


async def called(
    client: Client, tool: str, arguments: dict[str, Any], show: Callable[[float, float | None, str | None], None]
) -> Foreign:
    """Run a tool. Raises one of BREAKS."""
    # Half of a surrogate pair, which models do write, would break the connection; orjson would round large integers.
    arguments = json.loads(dumps(arguments))

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        show(progress, total, message)

    return foreign(await client.call_tool(tool, arguments, progress_callback=heard))


async def gone(task: "asyncio.Task[Any]") -> None:
    """Wait until a cancelled request has told the server so, briefly."""
    await asyncio.wait({task}, timeout=1.0)
