"""All MCP servers of a session: what they offer, and the way to each; knows nothing of models or terminals."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nanocode.errors import ToolError
from nanocode.jsontext import dumps
from nanocode.mcp.config import Config
from nanocode.mcp.inventory import Entry, line, names, ranked
from nanocode.mcp.link import Ask, Link
from nanocode.nearest import nearest
from nanocode.settings import Settings
from nanocode.tool import Foreign

_OPEN_SCHEMA: Mapping[str, Any] = {"type": "object", "properties": {}}


class Host:
    """The servers of a configuration. `start` connects in the background those whose tools nobody knows yet.

    `changed` is called when the tools of a server are other ones than before.
    """

    def __init__(
        self, config: Config, settings: Settings, changed: Callable[[], None] = lambda: None, ask: Ask | None = None
    ) -> None:
        self.config = config
        self.links = {
            name: Link(
                server,
                settings.cwd,
                settings.directory,
                changed,
                start_seconds=settings.mcp_start_seconds,
                call_seconds=settings.mcp_call_seconds,
                ask=ask,
            )
            for name, server in config.servers.items()
        }

    def start(self) -> None:
        """A server that was asked in an earlier session is connected when a tool of it is called."""
        for link in self.links.values():
            if link.inventory is None:
                link.start()

    async def close(self) -> None:
        """End all servers, side by side."""
        await asyncio.gather(*(link.close() for link in self.links.values()))

    def forget(self) -> None:
        """Drop what these servers said in earlier sessions; `start` then asks all of them. Only before that."""
        for link in self.links.values():
            link.inventory = None
            with suppress(OSError):
                link.cache.unlink()

    async def search(self, query: str, limit: int, refresh: bool) -> str:
        """The tools that fit, one a line, and which servers could not be asked."""
        await asyncio.gather(*(self._known(link, refresh) for link in self.links.values()))
        found = ranked(query, self._offered())
        lines = [line(server, each) for server, each in found[:limit]]
        if not found:
            lines = [f"no tool fits `{query}`" if query else "no tools"]
        if len(found) > limit:
            lines.append(f"[Showing {limit} of {len(found)} tools. Use limit={len(found)} for all, or other words.]")
        return "\n".join([*lines, *(f"[{link.failure}]" for link in self.links.values() if link.failure)])

    async def inspect(self, server: str, tool: str, refresh: bool) -> str:
        """What a tool does and its schema; without `server`, the only one that has it."""
        if not server and "/" in tool and tool.split("/")[0] in self.links:
            server, _, tool = tool.partition("/")
        links = [self._link(server)] if server else list(self.links.values())
        await asyncio.gather(*(self._known(link, refresh) for link in links))
        found = [(link, each) for link in links for each in _tools(link) if each.name == tool]
        if len(found) > 1:
            owners = ", ".join(link.server.name for link, _ in found)
            raise ToolError(f"several servers have `{tool}`: {owners}; name one")
        if not found:
            raise self._missing(tool, links)
        link, entry = found[0]
        title = f" ({entry.title})" if entry.title and entry.title != entry.name else ""
        note = "\n[the server marks it as read-only]" if entry.reads else ""
        return (
            f"{link.server.name}/{entry.name}{title}{note}\n{entry.description}\n{dumps(dict(entry.schema)).decode()}"
        )

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any], show: Callable[[str], None]) -> Foreign:
        """Run a tool; `show` gets its progress."""
        link = self._link(server)
        if not link.server.offers(tool):
            raise ToolError(f"the user's configuration of MCP server `{server}` leaves `{tool}` out")
        await self._known(link, refresh=False)
        if link.inventory is not None and tool not in {each.name for each in link.inventory.tools}:
            raise self._missing(tool, [link])
        return await link.call(tool, arguments, show)

    def selected(self) -> Iterator[tuple[str, str, Entry]]:
        """Name for the model, server and tool of each that is exposed by itself; one not known yet takes anything."""
        chosen: dict[tuple[str, str], Entry] = {}
        for name, link in self.links.items():
            if link.inventory is None:
                guessed = [each for each in link.server.selected if each != "*" and link.server.offers(each)]
                about = link.server.description
                chosen |= {(name, each): Entry(each, "", about, _OPEN_SCHEMA, False) for each in guessed}
            else:
                chosen |= {(name, each.name): each for each in _tools(link) if link.server.selects(each.name)}
        for pair, name in names(chosen).items():
            yield name, pair[0], chosen[pair]

    def status(self) -> str:
        """One line for each server."""
        lines = []
        for name, link in self.links.items():
            count = "tools unknown" if link.inventory is None else f"{len(list(_tools(link)))} tools"
            lines.append(f"{name}: {link.state}, {count}; {link.server.shown}")
            lines += [f"  {each}" for each in link.failure.splitlines()]
        return "\n".join([*lines, *(f"{name}: disabled" for name in self.config.disabled)])

    async def _known(self, link: Link, refresh: bool) -> None:
        """Wait until the server's tools are known, or cannot be; `failure` says why."""
        if refresh:
            try:
                await link.refreshed()
            except ToolError as error:
                link.failure = link.failure or str(error)
        elif link.inventory is None:
            if not link.failure:
                link.start()
            await link.settled()

    def _offered(self) -> Iterator[tuple[str, Entry]]:
        for name, link in self.links.items():
            yield from ((name, each) for each in _tools(link))

    def _link(self, server: str) -> Link:
        if server not in self.links:
            raise ToolError(f"there is no MCP server `{server}`; the servers are: {', '.join(self.links) or 'none'}")
        return self.links[server]

    def _missing(self, tool: str, links: Sequence[Link]) -> ToolError:
        failed = [link.failure for link in links if link.failure and link.inventory is None]
        if failed:
            return ToolError("\n".join(failed))
        near = nearest(tool, {each.name for link in links for each in _tools(link)})
        words = f"; nearest: {', '.join(near)}" if near else ""
        return ToolError(f"there is no tool `{tool}`{words}", "mcp_search lists them all")


def _tools(link: Link) -> Iterator[Entry]:
    for each in link.inventory.tools if link.inventory is not None else ():
        if link.server.offers(each.name):
            yield each
