"""The tools of MCP servers: search, inspect, call, and each directly; knows nothing of how servers are reached.

They are offered without any server too, so that the list of tools, and with it the provider's prefix cache, stays the
same when one is added by `/reload`.
"""

import tempfile
from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from nanocode.errors import ToolError
from nanocode.tool import Context, Foreign, Result, Servers, Tool, tool
from nanocode.tools.output import BYTES, framed, size

_ALIASES = {"server_name": "server", "serverName": "server", "tool_name": "tool", "toolName": "tool"}


@tool(reads=True, aliases={"q": "query"})
async def mcp_search(
    context: Context,
    query: Annotated[str | None, "words to look for; all tools by default"] = None,
    limit: Annotated[int, "tools at most", {"minimum": 1}] = 30,
    refresh: Annotated[bool, "ask the servers again"] = False,
) -> Result:
    """Find tools of the configured MCP servers."""
    return Result(await _servers(context).search(query or "", limit, refresh))


@tool(reads=True, aliases={**_ALIASES, "name": "tool"})
async def mcp_inspect(
    context: Context,
    tool: Annotated[str, "its name"],
    server: Annotated[str | None, "the server it belongs to; needed when several have it"] = None,
    refresh: Annotated[bool, "ask the server again"] = False,
) -> Result:
    """Show what an MCP tool does and which arguments it takes."""
    return Result(await _servers(context).inspect(server or "", tool, refresh))


@tool(aliases={**_ALIASES, "name": "tool", "args": "arguments", "input": "arguments"})
async def mcp_call(
    context: Context,
    server: Annotated[str, "the server"],
    tool: Annotated[str, "its tool"],
    arguments: Annotated[dict[str, Any] | None, "what mcp_inspect says it takes"] = None,
) -> Result:
    """Run a tool of an MCP server; inspect it first."""
    return await _called(context, server, tool, arguments or {})


class Entry(Protocol):
    """What a server says of a tool."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def schema(self) -> Mapping[str, Any]: ...
    @property
    def reads(self) -> bool: ...


def direct(name: str, server: str, entry: Entry) -> Tool:
    """A server's tool that the model sees as one of its own, under `name`."""

    async def run(context: Context, arguments: dict[str, Any]) -> Result:
        return await _called(context, server, entry.name, arguments)

    about = entry.description or f"`{entry.name}` of the MCP server `{server}`"
    # Providers refuse a function whose parameters are no object.
    schema = {"properties": {}, **entry.schema, "type": "object"}
    return Tool(name, about, schema, run, entry.reads, {}, dict, foreign=True)


def _servers(context: Context) -> Servers:
    if context.servers is None:
        raise ToolError(
            "no MCP server is configured",
            "the user can add one: `nanocode mcp add NAME COMMAND…`, or in `~/.nanocode/mcp.json`",
        )
    return context.servers


async def _called(context: Context, server: str, tool: str, arguments: Mapping[str, Any]) -> Result:
    answer = await _servers(context).call(server, tool, arguments, context.output)
    text = framed(_bounded(answer), f"mcp:{server}/{tool}")
    if answer.failed:
        raise ToolError(text)
    return Result(text, answer.images if context.takes_images else ())


def _bounded(answer: Foreign) -> str:
    data = answer.text.encode("utf-8", "replace")
    if len(data) <= BYTES:
        return answer.text or "[no output]"
    half = BYTES // 2
    start, end = data[:half].decode("utf-8", "ignore"), data[-half:].decode("utf-8", "ignore")
    return f"{start}\n[… {size(len(data) - BYTES)} left out; {_spilled(data)} …]\n{end}"


def _spilled(data: bytes) -> str:
    try:
        descriptor, path = tempfile.mkstemp(prefix="nanocode-mcp-", suffix=".txt")
        with open(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        return f"the full result could not be kept: {error.strerror}"
    return f"full result: {path}"
