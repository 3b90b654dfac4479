"""The agent: ask the model, run its calls, ask again; the one file to read first. Knows no terminal and no sockets."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nanocode.agent.history import History
from nanocode.agent.inbox import Inbox
from nanocode.agent.toolbox import Toolbox
from nanocode.agent.window import Request, Window
from nanocode.errors import (
    CompactionError,
    ContextOverflow,
    LimitReached,
    NanocodeError,
    ProviderError,
    TransientError,
)
from nanocode.events import Compacted, Emit, MessageAdded, Notice, RunEnded, RunStarted, UsageReported
from nanocode.messages import Assistant, Call, Message, ToolAnswer, Usage, User
from nanocode.provider.catalog import Model
from nanocode.provider.client import Client
from nanocode.settings import Settings

# Without it the model takes its cut answer for one that it ended itself. The user's own words follow it, so that it
# must not begin as what is no word of the user does (`messages.USER_DID`).
CUT_SHORT = "[The turn before this message was interrupted by the user.]"


@dataclass(slots=True)
class Spent:
    """What one run, or a session, has used; `cost` in dollars, None once a price was unknown."""

    turns: int = 0
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    cost: float | None = 0.0

    def add(self, usage: Usage, cost: float | None) -> None:
        self.usage += usage
        self.cost = None if self.cost is None or cost is None else self.cost + cost


class Agent:
    """One conversation with one model. `run` takes the next text to its end; cancel its task to interrupt.

    `user` makes the message of each text that a person gives.
    """

    def __init__(
        self,
        client: Client,
        model: Model,
        system: str,
        toolbox: Toolbox,
        inbox: Inbox,
        settings: Settings,
        emit: Emit,
        user: Callable[[str], User] = User,
    ) -> None:
        self.model, self.system, self.inbox = model, system, inbox
        self.history = History()
        self.window = Window(client, settings)
        self.spent = Spent()
        self.cut_short = False
        self._added: list[Message] = []
        self._hopeless = False
        self._client, self._toolbox, self._settings, self._emit, self._user = client, toolbox, settings, emit, user

    async def run(self, text: str) -> RunEnded:
        """Answer `text`, or with "" the news. Whatever happens, the history is valid afterwards.

        The returned event was emitted last.
        """
        self._added, self._hopeless = [], False
        spent = self.spent = Spent()
        self._emit(RunStarted(self.model.id))
        stop, error = "done", NanocodeError("")
        try:
            async with asyncio.timeout(self._settings.time_limit):
                await self._converse(text, spent)
        except TimeoutError:
            stop, error = "limit", LimitReached(f"the time limit of {self._settings.time_limit:g} s was reached")
        except NanocodeError as failure:
            stop, error = _stop_reason(failure), failure
        except asyncio.CancelledError:
            stop, error = "interrupted", NanocodeError("interrupted")
            self.cut_short = True
        messages = tuple(self._added)
        final = next((each.text for each in reversed(messages) if isinstance(each, Assistant)), "")
        ended = RunEnded(final, messages, stop, spent.usage, spent.cost, str(error), error.hint)
        self._emit(ended)
        return ended

    async def _converse(self, text: str, spent: Spent) -> None:
        first = (text, *self.inbox.take_steering()) if text else ()
        incoming = (*map(self._message, first), *self._news())
        while incoming:
            self.add(*incoming)
            while True:
                answer = await self._ask(spent)
                if answer.calls:
                    await self._answer(answer.calls)
                arrived = (*map(self._message, self.inbox.take_steering()), *self._news())
                self.add(*arrived)
                if not answer.calls and not arrived:
                    break
            incoming = tuple(map(self._message, self.inbox.take_followup()))
            if not incoming and self.inbox.expected:
                await self.inbox.expected()
                incoming = self._news()

    async def _ask(self, spent: Spent) -> Assistant:
        self._check_limits(spent)
        # What has failed once is not tried again before the server itself says that the request is too large.
        if not self._hopeless and self.window.full(self.request):
            await self._make_room(spent)
        try:
            answer = await self._respond()
        except ContextOverflow:
            self.window.overflowed(self.request)
            if not self._settings.compaction or not await self._make_room(spent, tight=True):
                raise
            answer = await self._respond()
        spent.turns += 1
        self.add(answer)
        self._spend(spent, answer.usage)
        self.window.answered(self.request, self.history.messages)
        if answer.stop == "length":
            self._emit(Notice("the answer was cut at the model's output limit"))
        elif not answer.text and not answer.calls:
            self._emit(Notice("the model gave an empty answer"))
        return answer

    @property
    def request(self) -> Request:
        """What goes to the model next."""
        return Request(self.model, self.system, tuple(self._toolbox.tools.values()), self.history.messages)

    async def _respond(self) -> Assistant:
        request = self.request
        try:
            return await self._client.respond(self.model, request.sent, request.tools, self._emit)
        except asyncio.CancelledError:
            if self._client.partial and self._client.partial.text:
                self.add(self._client.partial)
            raise

    async def _make_room(self, spent: Spent, *, tight: bool = False) -> bool:
        """Whether the next request is smaller than it would have been."""
        try:
            done = await self.compact(spent, tight=tight)
        except (CompactionError, ProviderError) as error:
            self._hopeless = True
            self._emit(Notice(f"the conversation is not compacted: {error}"))
            return False
        self._hopeless = done is not None and self.window.full(self.request)
        return done is not None

    async def compact(self, spent: Spent, instructions: str = "", *, tight: bool = False) -> Compacted | None:
        """Put a summary in the place of what was said first; None when nothing can give way.

        `tight` makes room also where there is some. A failure leaves the history as it was.
        """
        done = await self.window.compacted(
            self.request, self._emit, lambda usage: self._spend(spent, usage), instructions, tight
        )
        if done is not None:
            self.history = History(done.messages)
            self._emit(done)
        return done

    def _spend(self, spent: Spent, usage: Usage | None) -> None:
        if usage is not None:
            cost = self.model.cost(usage)
            spent.add(usage, cost)
            self._emit(UsageReported(usage, cost))

    async def _answer(self, calls: Sequence[Call]) -> None:
        answers: dict[str, ToolAnswer] = {}
        try:
            await self._toolbox.answer(calls, lambda answer: answers.__setitem__(answer.call_id, answer))
        finally:
            self.add(*(answers[call.id] for call in calls if call.id in answers))
            for answer in self.history.close():
                self._added.append(answer)
                self._emit(MessageAdded(answer))

    def _check_limits(self, spent: Spent) -> None:
        limits = self._settings
        if limits.max_turns is not None and spent.turns >= limits.max_turns:
            raise LimitReached(f"the limit of {limits.max_turns} turns was reached", "raise it by --max-turns")
        if limits.max_cost is not None and spent.cost is not None and spent.cost >= limits.max_cost:
            raise LimitReached(f"the run has cost ${spent.cost:.4f}", "raise the limit by --max-cost")

    def _news(self) -> tuple[Message, ...]:
        # Not the words of a person: no skill of that name is run, no image that they name is sent.
        return tuple(map(User, self.inbox.news()))

    def _message(self, text: str) -> User:
        note, self.cut_short = f"{CUT_SHORT}\n\n" if self.cut_short else "", False
        message = self._user(text)
        return replace(message, text=note + message.text)

    def add(self, *messages: Message) -> None:
        """Put messages into the history, and say so."""
        for message in messages:
            self.history.add(message)
            self._added.append(message)
            self._emit(MessageAdded(message))


def _stop_reason(error: NanocodeError) -> str:
    if isinstance(error, LimitReached):
        return "limit"
    return "transient" if isinstance(error, TransientError) else "failed"
