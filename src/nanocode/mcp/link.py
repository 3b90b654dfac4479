"""One MCP server: started when needed, owned by one task, started anew when it broke; knows nothing of models.

A client must be left by the task that entered it, and a dead server cancels that task: so it has a task of its own,
the owner, and whoever calls waits for the answer and for the owner's end at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from nanocode.errors import ToolError
from nanocode.mcp import inventory
from nanocode.mcp.config import Server
from nanocode.mcp.inventory import Inventory
from nanocode.mcp.words import Words
from nanocode.tool import Foreign

# A server that was told to end has two seconds, then two more, and is then killed.
_END_SECONDS = 6.0

Ask = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]]
Visit = Callable[[str], Awaitable[None]]


class Link:
    """The line to one server. `inventory` is what it said last, maybe in an earlier session; None: it never spoke."""

    def __init__(
        self,
        server: Server,
        root: Path,
        directory: Path,
        changed: Callable[[], None],
        *,
        start_seconds: float,
        call_seconds: float,
        ask: Ask | None = None,
        visit: Visit | None = None,
    ) -> None:
        self.server = server
        self.failure = ""
        self.cache = inventory.place(directory / "cache" / "mcp", server)
        self.log = directory / "logs" / "mcp" / f"{_file_name(server.name)}.log"
        self.inventory: Inventory | None = inventory.load(self.cache)
        self._root, self._directory, self._changed, self._ask, self._visit = root, directory, changed, ask, visit
        self._start_seconds = server.start_seconds or start_seconds
        self._call_seconds = server.call_seconds or call_seconds
        self._owner: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._stop = asyncio.Event()
        self._client: Any = None
        self._wire: Any = None
        self._words: Words | None = None
        self._junk = self._last = ""
        self._silences: set[asyncio.Timeout] = set()
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """idle, starting, ready or failed."""
        if self._client is not None:
            return "ready"
        if self._owner is not None and not self._settled.is_set():
            return "starting"
        return "failed" if self.failure else "idle"

    def start(self) -> None:
        """Begin to connect, unless that is under way or done."""
        if self._owner is None or self._owner.done():
            self.failure = self._junk = self._last = ""
            self._settled, self._stop = asyncio.Event(), asyncio.Event()
            self._owner = asyncio.create_task(self._own(), name=f"mcp {self.server.name}")
            self._owner.add_done_callback(self._over)

    async def settled(self) -> None:
        """Wait until the start has worked or failed, which its budget bounds."""
        if self._owner is not None:
            await self._settled.wait()

    async def refreshed(self) -> None:
        """Ask the server for its tools now. Raises ToolError when it cannot say."""
        client = await self._ready()
        try:
            async with asyncio.timeout(self._start_seconds):
                self._keep(await self._wire.listed(client))
        except TimeoutError:
            raise ToolError(f"MCP server `{self.server.name}` did not list its tools in time") from None
        except self._wire.BREAKS as error:
            raise ToolError(f"MCP server `{self.server.name}`: {self._wire.said(error)}") from None

    async def call(self, tool: str, arguments: Mapping[str, Any], show: Callable[[str], None]) -> Foreign:
        """Run a tool. Sent again only where the server surely never saw it. Raises ToolError."""
        for last in (False, True):
            try:
                return await self._called(tool, dict(arguments), show)
            except _Unseen as error:
                if last:
                    raise ToolError(f"MCP server `{self.server.name}`: {error}") from None
                await self.close()
        raise AssertionError("the second try returns or raises")

    async def close(self) -> None:
        """End the server and wait until it has gone."""
        owner = self._owner
        if self._refreshing is not None:
            self._refreshing.cancel()
        if owner is None or owner.done():
            return
        self._stop.set()
        # A second cancellation would break off the way to the process's end.
        if self._client is None and not owner.cancelling():
            owner.cancel()
        await asyncio.wait({owner}, timeout=_END_SECONDS)

    async def _ready(self) -> Any:
        self.start()
        await self.settled()
        if self._client is None:
            raise ToolError(self.failure)
        return self._client

    async def _called(self, tool: str, arguments: dict[str, Any], show: Callable[[str], None]) -> Foreign:
        client, owner = await self._ready(), self._owner
        assert owner is not None
        silence = asyncio.timeout(self._call_seconds)

        def progress(done: float, total: float | None, message: str | None) -> None:
            self._wait(silence, self._call_seconds)
            show(f"{message or 'progress'}: {done:g}{f'/{total:g}' if total else ''}\n")

        request = asyncio.create_task(self._wire.called(client, tool, arguments, progress))
        self._silences.add(silence)
        try:
            async with silence:
                await asyncio.wait({request, owner}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise ToolError(self._about(f"no answer to `{tool}` for {self._call_seconds:g} s")) from None
        finally:
            self._silences.discard(silence)
            if not request.done():
                request.cancel()
                await self._wire.gone(request)
        return await self._answer(tool, request, owner)

    def _wait(self, silence: asyncio.Timeout, seconds: float | None) -> None:
        until = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with suppress(RuntimeError):  # the time is up already
            silence.reschedule(until)

    async def _asked(self, message: str, schema: dict[str, Any]) -> dict[str, Any] | None:
        """Let a person answer; no call runs out of time meanwhile."""
        if self._ask is None:
            return None
        for silence in self._silences:
            self._wait(silence, None)
        try:
            return await self._ask(message, schema)
        finally:
            for silence in self._silences:
                self._wait(silence, self._call_seconds)

    async def _answer(self, tool: str, request: "asyncio.Task[Foreign]", owner: "asyncio.Task[None]") -> Foreign:
        error = None if request.cancelled() else request.exception()
        if not request.cancelled() and error is None:
            return request.result()
        if error is not None and self._wire.was_refused_unseen(error):
            raise _Unseen(self._wire.said(error))
        if error is None or self._wire.is_closed(error):
            await asyncio.wait({owner}, timeout=_END_SECONDS)
            broken = owner.exception() if owner.done() and not owner.cancelled() else None
            if broken is not None and self._wire.was_refused_unseen(broken):
                raise _Unseen(self._wire.said(broken))
            why = f": {self._wire.said(broken)}" if broken is not None else ""
            raise ToolError(self._about(f"it ended while `{tool}` ran, which may have had its effect{why}"))
        if not isinstance(error, self._wire.BREAKS):
            raise error
        raise ToolError(f"MCP server `{self.server.name}`: {self._wire.said(error)}")

    async def _own(self) -> None:
        self._wire = await asyncio.to_thread(_sdk)
        late = asyncio.get_running_loop().call_later(self._start_seconds, self._late)
        self._words = Words(self.log)
        modern = self.inventory is not None and self.inventory.modern
        hooks = self._wire.Hooks(
            *(self._root, self._refresh, self._heard_junk, self._stop.set),
            logins=self._directory / "mcp-logins",
            ask=self._asked,
            visit=self._visit,
        )
        try:
            async with self._wire.connected(self.server, self._words, hooks, modern=modern) as client:
                self._keep(await self._wire.listed(client))
                late.cancel()
                self._client = client
                self._settled.set()
                watching = asyncio.create_task(self._wire.watch(client, self._refresh))
                try:
                    await self._stop.wait()
                finally:
                    watching.cancel()
        finally:
            late.cancel()
            self._client = None

    def _late(self) -> None:
        self.failure = self._about(f"it did not answer within {self._start_seconds:g} s")
        self._settled.set()
        if self._owner is not None:
            self._owner.cancel()

    def _over(self, owner: "asyncio.Task[None]") -> None:
        error = None if owner.cancelled() else owner.exception()
        if not self.failure and error is not None:
            self.failure = self._about(_no_sdk(error) or self._wire.said(error))
        elif not self.failure and not self._settled.is_set():
            self.failure = self._about("it ended before it was ready")
        if self._words is not None:
            self._last = self._words.tail()
            self._words.close()
            self._words = None
        self._settled.set()

    def _about(self, what: str) -> str:
        """The failure with the server's name and its last words."""
        last = self._words.tail() if self._words is not None else self._last
        junk = f"\nnot MCP on its stdout: {self._junk}" if self._junk else ""
        return f"MCP server `{self.server.name}`: {what}{junk}" + (f"\nits last words: {last}" if last else "")

    def _heard_junk(self, words: str) -> None:
        found = " ".join(words.split())
        self._junk = self._junk or found.partition("input_value=")[2][:200] or found[:200]

    def _refresh(self) -> None:
        if self._client is not None and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._again())

    async def _again(self) -> None:
        with suppress(ToolError):
            await self.refreshed()

    def _keep(self, found: Inventory) -> None:
        if found != self.inventory:
            self.inventory = found
            with suppress(OSError):  # without a cache the next session asks again
                inventory.save(self.cache, found)
            self._changed()


class _Unseen(Exception):
    """The server did not get to see the request."""


def _sdk() -> ModuleType:
    from nanocode.mcp import wire

    return wire


def _no_sdk(error: BaseException) -> str:
    missing = isinstance(error, ImportError)
    return f"the MCP SDK does not load ({error}); install it by `pip install mcp`" if missing else ""


def _file_name(name: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name).strip(".")[:80] or "_"
