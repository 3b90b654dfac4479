"""The composition root: Settings in, a running Session out; knows how the rooms fit, and nothing they do."""

import asyncio
import os
from dataclasses import replace
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING

from nanocode import __version__, tools
from nanocode.agent.inbox import Inbox
from nanocode.agent.loop import Agent
from nanocode.agent.toolbox import Toolbox, select
from nanocode.context.prompt import system_prompt
from nanocode.errors import UsageError
from nanocode.events import Emit, RunEnded, SessionOpened
from nanocode.provider import auth, catalog
from nanocode.provider.client import Client
from nanocode.settings import Settings

if TYPE_CHECKING:
    from nanocode.provider.demo import DemoServer


class Session:
    """A conversation that lives in one event loop. Use it as `async with Session(settings, emit) as session`.

    Raises UsageError on entry when it cannot be started: no key, an unknown tool, a model that is not served.
    """

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.id = os.urandom(6).hex()
        self.settings = settings
        self._emit = emit
        self._demo: DemoServer | None = None
        self._run: asyncio.Task[RunEnded] | None = None

    async def __aenter__(self) -> "Session":
        if self.settings.demo:
            from nanocode.provider.demo import DemoServer

            self._demo = await DemoServer.start()
            self.settings = replace(self.settings, base_url=self._demo.url, api_url="", model="demo")
        try:
            self._compose()
        except BaseException:
            await self._close_demo()
            raise
        self._emit(SessionOpened(__version__, self.id, str(self.settings.cwd), self.settings.model))
        return self

    def _compose(self) -> None:
        settings = self.settings
        key = auth.Key("demo", "the demo model") if self._demo else auth.find(settings)
        model = catalog.model(settings, settings.model)
        if settings.max_cost is not None and model.prices is None:
            raise UsageError(
                f"`--max-cost` needs a price, and none is known for `{model.id}`", "use --max-turns instead"
            )
        chosen = select(tools.ALL, settings.tools)
        self.toolbox = Toolbox(chosen, settings, self._emit, takes_images=model.takes_images)
        self.inbox = Inbox(self._emit)
        self.client = Client(settings, key)
        prompt = system_prompt(settings, date.today())
        self.agent = Agent(self.client, model, prompt, self.toolbox, self.inbox, settings, self._emit)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.aclose()
        await self._close_demo()

    async def _close_demo(self) -> None:
        if self._demo is not None:
            await self._demo.close()

    async def submit(self, text: str) -> RunEnded:
        """Run one prompt to its end; `interrupt` ends it early, and so does cancelling the caller."""
        self._run = asyncio.create_task(self.agent.run(text))
        try:
            return await asyncio.shield(self._run)
        except asyncio.CancelledError:
            self._run.cancel()
            await self._run
            raise
        finally:
            self._run = None

    def interrupt(self) -> bool:
        """Stop the running turn, if there is one; whether there was."""
        if self._run is None:
            return False
        self._run.cancel()
        return True

    def switch(self, id: str) -> None:
        """Use the model `id` from the next request on. Raises UsageError when it is not served by chat."""
        self.agent.model = catalog.model(self.settings, id.removeprefix("opencode-go/"))
        self.toolbox.takes_images = self.agent.model.takes_images
