"""The composition root: Settings in, a running Session out; knows how the rooms fit, and nothing they do."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from nanocode import __version__, servers, tools
from nanocode.agent.history import History
from nanocode.agent.inbox import Inbox
from nanocode.agent.loop import CUT_SHORT, Agent, Spent
from nanocode.agent.repair import repaired
from nanocode.agent.rewind import begins, words_back
from nanocode.agent.toolbox import Toolbox, select
from nanocode.context import mentions, pictures, prompt
from nanocode.context.surroundings import look
from nanocode.errors import CompactionError, UsageError
from nanocode.events import (
    Compacted,
    Emit,
    Event,
    JobChanged,
    Notice,
    RunEnded,
    RunStarted,
    SessionOpened,
    UsageReported,
)
from nanocode.guard import secrets
from nanocode.guard.trust import Trust
from nanocode.jobs.board import Board
from nanocode.messages import User
from nanocode.provider import auth, catalog
from nanocode.provider.client import Client
from nanocode.settings import Settings
from nanocode.store import shelf
from nanocode.store.transcript import Saved, Transcript, read
from nanocode.store.undo import Undo
from nanocode.tool import Tool
from nanocode.tools.mcp import direct

if TYPE_CHECKING:
    from nanocode.mcp.host import Host
    from nanocode.mcp.link import Ask
    from nanocode.provider.demo import DemoServer

Done = TypeVar("Done")

ASIDE = (
    "[A question beside the work, which goes on without you. Answer it from what you know so far and change nothing.]"
)


class Session:
    """A conversation that lives in one event loop. Use it as `async with Session(settings, emit) as session`.

    `around` is what was found for it on disk, `spent` what it has used over all its runs and `last` over the last
    one. `on_news` is called when the result of a background job waits and no turn runs: the front end then awaits
    `catch_up` as soon as it can show a turn. Raises UsageError on entry when it cannot be started: no key, an unknown
    tool, a model that is not served, a session open elsewhere.
    """

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.settings = settings
        self._show = emit
        self._demo: DemoServer | None = None
        self._run: asyncio.Task[Any] | None = None
        self._said: list[str] = []
        self.servers: Host | None = None
        self.elicit: Ask | None = None
        self.on_news: Callable[[], None] = lambda: None

    @property
    def id(self) -> str:
        return self.transcript.id

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
        self._opened()
        for warning in self.around.warnings:
            self._warn(warning)
        self._open_servers()
        return self

    def _compose(self) -> None:
        settings = self.settings
        key = auth.Key("demo", "the demo model") if self._demo else auth.find(settings)
        self.key_source = key.source
        self._astray = auth.astray(settings, key)
        model = catalog.model(settings, settings.model)
        if settings.max_cost is not None and model.prices is None:
            raise UsageError(
                f"`--max-cost` needs a price, and none is known for `{model.id}`", "use --max-turns instead"
            )
        chosen = select(self._own_tools(), settings.tools)
        self.redactor = secrets.Redactor([key.value, *secrets.known(settings.environ)])
        self.trust = Trust(settings.trust_file, everything=settings.trust)
        self.around = look(settings, self.trust.allows)
        self.toolbox = Toolbox(
            chosen,
            settings,
            self._emit,
            takes_images=model.takes_images,
            changing=lambda path: self.undo.changing(path),
        )
        self.toolbox.said = lambda: "\n".join(self._said)
        self.inbox = Inbox(self._emit)
        self.board = Board(settings, self._emit, tools=lambda: self.toolbox.tools, arrived=self._arrived)
        self.inbox.news = self.board.take_news
        self.toolbox.jobs = self.board
        self.client = Client(settings, key)
        system = prompt.system_prompt(settings, self.around, chosen)
        self.agent = Agent(self.client, model, system, self.toolbox, self.inbox, settings, self._emit, self._user)
        self.board.model = model.id
        self._take(shelf.opened(settings, _new_id(), redact=self.redactor.line, warn=self._warn))

    def _own_tools(self) -> list[Tool]:
        """Every tool of nanocode's own; a child has children only where it was asked for by name."""
        alone = self.settings.depth and "nanocode" not in self.settings.tools.split(",")
        return [each for each in tools.ALL if not (alone and each.name == "nanocode")]

    def _take(self, transcript: Transcript) -> None:
        """Go on with the conversation that a transcript holds."""
        self._open(transcript)
        self.board.forget()
        self.agent.history, self.agent.cut_short = History(repaired(transcript.saved.view)), False

    def _open(self, transcript: Transcript) -> None:
        saved = transcript.saved
        self.transcript = transcript
        self.board.session = self.id
        self.undo = Undo(
            transcript.path.with_suffix(".undo") if transcript.path else None, covers=self._covered, warn=self._warn
        )
        self.spent, self.last = Spent(saved.turns, saved.usage, saved.cost), Spent()

    def _opened(self) -> None:
        self._emit(SessionOpened(__version__, self.id, str(self.settings.cwd), self.agent.model.id))
        if self._astray:
            self._warn(self._astray)
        if self.transcript.saved.last_id is not None:
            self._warn(f"going on with session {self.id}: {len(self.agent.history.messages)} messages")
        elif self.settings.continued:
            self._warn("there is no earlier session of this folder; this is a new one")
        if skipped := self.transcript.saved.skipped:
            self._warn(f"{skipped} broken lines of the session were passed over")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.servers is not None:
            await self.servers.close()
        # What jobs used until now is saved; the stream has had its last event.
        self._show = lambda event: None
        await self.board.close()
        await self.client.aclose()
        await self._close_demo()
        self.transcript.close()

    async def _close_demo(self) -> None:
        if self._demo is not None:
            await self._demo.close()

    def _emit(self, event: Event) -> None:
        # The disk comes first: what a front end has shown is saved.
        self.transcript(event)
        self.undo(event)
        if isinstance(event, RunStarted):
            self.last = Spent()
        elif isinstance(event, UsageReported):
            for spent in (self.spent, self.last):
                spent.turns += 1
                spent.add(event.usage, event.cost)
        elif isinstance(event, JobChanged) and event.ended:
            # A run's limit on cost counts what its children cost.
            for spent in (self.spent, self.last, self.agent.spent):
                spent.add(event.usage, event.cost)
        self._show(event)

    def _open_servers(self, *, anew: bool = False) -> None:
        one_at_a_time = asyncio.Lock()

        async def ask(message: str, schema: dict[str, Any]) -> dict[str, Any] | None:
            async with one_at_a_time:
                return await self.elicit(message, schema) if self.elicit else None

        self.servers = servers.opened(
            self.settings, self.trust, lambda *words: self._warn("; ".join(words)), self._offer, ask
        )
        self.toolbox.servers = self.servers
        if anew and self.servers is not None:
            self.servers.forget()
        self._offer()
        if self.servers is not None and any(name.startswith("mcp_") for name in self.toolbox.tools):
            self.servers.start()

    def _offer(self) -> None:
        """Offer the tools again, with those that MCP servers show by themselves."""
        selected = self.servers.selected() if self.servers is not None else ()
        known = [*self._own_tools(), *(direct(*each) for each in selected)]
        self.toolbox.tools = {each.name: each for each in select(known, self.settings.tools)}

    async def reload_servers(self) -> None:
        """Read the MCP files again and start the servers anew. Only between turns."""
        if self.servers is not None:
            await self.servers.close()
        self._open_servers(anew=True)

    def _warn(self, text: str) -> None:
        self._show(Notice(text))

    def _covered(self, name: str) -> bool:
        return name in ("write", "edit") or name not in self.toolbox.tools or self.toolbox.tools[name].reads

    def _user(self, text: str) -> User:
        """The message that a prompt becomes: skill or template filled in, files and images attached."""
        self._said.append(text)
        try:
            files = mentions.attached(text, self.settings.cwd, self.settings.home)
            blind = "" if self.agent.model.takes_images else self.agent.model.id
            images = pictures.attached(text, self.settings.cwd, self.settings.home, self._warn, blind)
            return User(self.around.expand(text) + files, tuple(images))
        except UsageError as error:
            self._warn(str(error))
            return User(text)

    async def submit(self, text: str) -> RunEnded:
        """Run one prompt to its end; `interrupt` ends it early, and so does cancelling the caller.

        Raises UsageError for a skill that does not exist.
        """
        self.around.expand(text)
        ended = await self._alone(self.agent.run(text))
        # What came in at the very end of the turn; after an interrupt it waits for what the user says next.
        if ended.stop_reason == "done":
            self._arrived()
        return ended

    async def compact(self, instructions: str = "") -> Compacted | None:
        """Sum the conversation up now; None when there is nothing to sum up. Only between turns.

        Raises CompactionError, and what the request for the summary raises; the conversation is then as it was.
        """
        return await self._alone(self._compacted(instructions))

    async def _compacted(self, instructions: str) -> Compacted | None:
        try:
            return await self.agent.compact(Spent(), instructions, tight=True)
        except asyncio.CancelledError:
            raise CompactionError("the compaction was interrupted") from None

    async def _alone(self, work: Coroutine[Any, Any, Done]) -> Done:
        """Let `interrupt` end this work; cancelling the caller does so too, and waits for its end."""
        self._run = running = asyncio.create_task(work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.cancel()
            with suppress(CompactionError):
                await running
            raise
        finally:
            self._run = None
            await asyncio.to_thread(self.transcript.sync)

    async def catch_up(self) -> RunEnded | None:
        """A turn on the results that wait, at once; None when there are none or a turn is under way."""
        return await self.submit("") if self.board.news and not self.working else None

    def _arrived(self) -> None:
        if self.board.news and not self.working:
            self.on_news()

    async def aside(self, question: str, emit: Emit, *, tools: bool = False) -> RunEnded:
        """Answer a question about the conversation so far beside it, also while a turn runs, and leave no trace in it.

        `emit` gets the events of this run alone; what it used counts. Tools are those that change nothing, and only
        with `tools`.
        """

        def heard(event: Event) -> None:
            if isinstance(event, UsageReported):
                self.transcript(event)
                self.spent.turns += 1
                self.spent.add(event.usage, event.cost)
            emit(event)

        chosen = [each for each in self.toolbox.tools.values() if each.reads] if tools else []
        # A question is not worth a compaction: the reserve is room enough for it.
        model, settings = self.agent.model, replace(self.settings, compaction=False)
        box = Toolbox(chosen, settings, heard, takes_images=model.takes_images)
        box.said, box.servers = self.toolbox.said, self.servers
        agent = Agent(self.client.sibling(), model, self.agent.system, box, Inbox(heard), settings, heard)
        agent.history = History(self.agent.history.messages)
        agent.history.close("[still running]")
        return await agent.run(f"{ASIDE}\n\n{question}")

    def note(self, text: str) -> None:
        """Tell the model something with its next message. Only between turns."""
        self.agent.add(User(text))

    @property
    def working(self) -> bool:
        """Whether a turn is under way."""
        return self._run is not None and not self._run.done()

    def interrupt(self) -> bool:
        """Stop the running turn, if there is one; whether there was."""
        if self._run is None or self._run.done():
            return False
        # Behind its first step: a task that is cancelled before that ends without a word, and its prompt is lost.
        asyncio.get_running_loop().call_soon(self._run.cancel)
        return True

    def switch(self, id: str) -> None:
        """Use the model `id` from the next request on. Raises UsageError when it is not served by chat."""
        self.agent.model = catalog.model(self.settings, id.removeprefix("opencode-go/"))
        self.toolbox.takes_images = self.agent.model.takes_images
        self.board.model = self.agent.model.id

    def clear(self) -> None:
        """Begin a new session; the one so far stays on disk."""
        self.transcript.close()
        self._take(shelf.new(self.settings, _new_id(), redact=self.redactor.line, warn=self._warn))

    def rewind(self, count: int) -> str:
        """Take the user's last `count` messages and all that followed out of the conversation; the first of them.

        The file keeps it on a branch, and what tools did stays done. Only between turns. Raises UsageError when there
        are not so many, or the file cannot be read.
        """
        try:
            data = self.transcript.data()
            saved = read(data) if data else self._remembered()
        except (OSError, ValueError) as error:
            raise UsageError(f"nothing is taken back: the session's file cannot be read ({error})") from None
        place, now = words_back(saved.messages, count), self.agent.history.messages
        view = self.transcript.rewind(data, saved.parents[place]) if data else saved.messages[:place]
        # Where it is in memory, it goes on as it was sent.
        self.agent.history = History(now[:place] if begins(now, saved.messages[:place]) else repaired(view))
        text = saved.messages[place].text
        self.agent.cut_short = text.startswith(CUT_SHORT)
        return text

    def fork(self) -> None:
        """Go on in a session of its own with the conversation so far; the old one stays. Only between turns."""
        old, messages = self.transcript, self.agent.history.messages
        name = old.name or old.saved.header.get("title", "")
        new = shelf.new(self.settings, _new_id(), redact=self.redactor.line, warn=self._warn)
        new.begin(messages, self.agent.model.id, f"fork of {name.removeprefix('fork of ')}")
        old.close()
        self._open(new)

    def resume(self, entry: shelf.Entry) -> None:
        """Leave this session and go on with another. Raises UsageError when that is open elsewhere."""
        transcript = shelf.resumed(self.settings, entry.path, redact=self.redactor.line, warn=self._warn)
        self.transcript.close()
        self._take(transcript)

    def saved(self) -> Saved:
        """The whole session as it stands: from its file, or from memory where it has none."""
        try:
            if data := self.transcript.data():
                return read(data)
        except (OSError, ValueError) as error:
            self._warn(f"the session's file cannot be read ({error}); this is what memory holds")
        return self._remembered()

    def _remembered(self) -> Saved:
        header, messages = self.transcript.saved.header, list(self.agent.history.messages)
        return Saved(header, messages, messages, self.spent.usage, self.spent.cost, self.spent.turns)

    def reload(self) -> None:
        """Read context files, skills and prompts again; the next request has them."""
        self.around = look(self.settings, self.trust.allows)
        self.agent.system = prompt.system_prompt(self.settings, self.around, self.toolbox.tools.values())
        for warning in self.around.warnings:
            self._warn(warning)

    def sections(self) -> dict[str, str]:
        """The parts of the system prompt by name, as they are now."""
        return prompt.sections(self.settings, self.around, self.toolbox.tools.values())


def _new_id() -> str:
    return os.urandom(6).hex()
