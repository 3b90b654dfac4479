"""The model's window: how full it is, and the compaction that makes room in it; knows no history and no turns."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from nanocode.agent import vocabulary
from nanocode.agent.compaction import Budget, budget, compacted, plan
from nanocode.agent.gauge import OVERHEAD, Gauge, Reading
from nanocode.agent.summary import summarise
from nanocode.errors import CompactionError
from nanocode.events import Compacted, Emit
from nanocode.messages import Message, System, Usage
from nanocode.provider.catalog import Model
from nanocode.provider.client import Client
from nanocode.settings import Settings
from nanocode.tool import Tool


class Request(NamedTuple):
    """What the next request to the model is made of."""

    model: Model
    system: str
    tools: tuple[Tool, ...]
    messages: tuple[Message, ...]

    @property
    def sent(self) -> tuple[Message, ...]:
        """The messages with the system prompt before them."""
        return (System(self.system), *self.messages) if self.system else self.messages


class Window:
    """The window of a conversation. `gauge` counts for the model at hand; another model starts a new one."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self.gauge = Gauge()
        self._client, self._settings = client, settings
        self._model = ""
        self._ceiling: int | None = None
        self._fixed: tuple[Gauge, str, tuple[Tool, ...], int] | None = None

    def read(self, request: Request) -> Reading:
        """How many tokens the request is."""
        return self._at(request.model).read(self.fixed(request), request.messages)

    def answered(self, request: Request, messages: tuple[Message, ...]) -> None:
        """Learn from the usage of an answer, the last of `messages`."""
        self._at(request.model).learn(self.fixed(request), messages)

    def fixed(self, request: Request) -> int:
        """Our count of the system prompt and the tools."""
        gauge = self._at(request.model)
        known = (gauge, request.system, request.tools)
        if self._fixed is None or self._fixed[:3] != known:
            self._fixed = (*known, gauge.text(request.system) + OVERHEAD + gauge.tools(request.tools))
        return self._fixed[3]

    async def refine(self, model: Model) -> None:
        """Count exactly from now on, where the model's vocabulary is at hand."""
        gauge = self._at(model)
        if not gauge.exact and (found := await asyncio.to_thread(vocabulary.load, model.id, self._settings.environ)):
            self.gauge = Gauge(found.count, found.name)

    def budget(self, model: Model) -> Budget:
        found = budget(self._settings, model.window)
        return found if self._ceiling is None else budget(replace(self._settings, context_window=0), self._ceiling)

    def full(self, request: Request) -> bool:
        """Whether the conversation must be compacted before this request."""
        return self._settings.compaction and self.read(request).tokens >= self.budget(request.model).limit

    def overflowed(self, request: Request) -> None:
        """The server says that this request does not fit: its window is smaller than we thought."""
        known = self.budget(request.model).window
        self._ceiling = min(known, max(round(0.9 * self.read(request).tokens), 1))

    async def compacted(
        self,
        request: Request,
        emit: Emit,
        spend: Callable[[Usage | None], None],
        instructions: str = "",
        tight: bool = False,
    ) -> Compacted | None:
        """The smaller conversation, or None when nothing can give way; `tight` makes room also where there is some.

        `spend` gets the usage of the request for the summary. Raises CompactionError when no good summary came or
        it made no room, and what the request raises.
        """
        await self.refine(request.model)
        gauge, limits = self._at(request.model), self.budget(request.model)
        fixed, before = self.fixed(request), self.read(request)
        if tight:
            held = before.tokens - round(gauge.ratio * fixed)
            limits = limits._replace(keep=max(min(limits.keep, held // 3), 0))
        found = plan(request.messages, lambda each: round(gauge.ratio * gauge.message(each)), limits, fixed)
        if found is None:
            return None
        summary = ""
        if found.past:
            room = round((limits.window - limits.reserve) / gauge.ratio)
            answer = await summarise(self._client, request.model, found.past, room, gauge.text, emit, instructions)
            spend(answer.usage)
            summary = answer.text
        messages = compacted(found, summary)
        after = self.read(request._replace(messages=messages))
        if after.tokens >= before.tokens:
            raise CompactionError("the summary is no shorter than what it stands for")
        return Compacted(before.tokens, after.tokens, summary, messages)

    def _at(self, model: Model) -> Gauge:
        if model.id != self._model:
            self._model, self.gauge, self._ceiling = model.id, Gauge(), None
        return self.gauge
