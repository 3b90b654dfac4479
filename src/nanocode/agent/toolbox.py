"""Runs the calls of one answer: checked, in order, bounded, each answered once; knows nothing of models."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import Any

from nanocode.agent.arguments import arguments, parsed
from nanocode.agent.history import INTERRUPTED
from nanocode.errors import LimitReached, NanocodeError, ToolError, UsageError
from nanocode.events import Emit, ToolEnded, ToolOutput, ToolStarted
from nanocode.frozen import frozen
from nanocode.messages import Call, Image, ToolAnswer
from nanocode.settings import Settings
from nanocode.tool import Context, Interrupted, Servers, Stamps, Tool, unwatched

NOTE_AT, STOP_AT = 3, 5
_AT_ONCE = 8
# Tools cut their own output with words that name the next call; this only guards the window against one that forgot.
_ANSWER_LIMIT = 400_000


@frozen
class Answer:
    """What came of one run of a tool."""

    text: str
    failed: bool
    images: tuple[Image, ...] = ()
    details: str = ""


class Toolbox:
    """The tools of a session. `answer` runs calls; `call` runs one, and is the only place that catches everything."""

    def __init__(
        self,
        tools: Iterable[Tool],
        settings: Settings,
        emit: Emit,
        *,
        takes_images: bool = False,
        changing: Callable[[Path], AbstractContextManager[None]] = unwatched,
    ) -> None:
        self.tools: Mapping[str, Tool] = {tool.name: tool for tool in tools}
        self.takes_images, self.changing = takes_images, changing
        self.said: Callable[[], str] = str
        self.servers: Servers | None = None
        self.jobs: object = None
        self._settings, self._emit = settings, emit
        self._stamps = Stamps()
        self._guard = Guard()

    async def answer(self, calls: Sequence[Call], keep: Callable[[ToolAnswer], None]) -> None:
        """Answer `calls`: neighbouring read-only ones side by side, every writer alone and in call order.

        `keep` gets each answer as soon as it is known, so that a cancelled batch loses none. Raises
        LimitReached after the batch when the same call came `STOP_AT` times in a row.
        """
        counted = [(call, self._guard.count(call)) for call in calls]
        for side_by_side, group in groupby(counted, lambda each: self._reads(each[0])):
            if side_by_side:
                await self._together(list(group), keep)
            else:
                for call, times in group:
                    keep(await self._one(call, times, keep))
        again, times = max(counted, key=lambda each: each[1])
        if self._guard.tripped(times):
            raise LimitReached(
                f"the model made the same call {STOP_AT} times in a row: `{again.name}`",
                "tell it what to do differently",
            )

    def _reads(self, call: Call) -> bool:
        return call.name in self.tools and self.tools[call.name].reads

    async def _together(self, calls: list[tuple[Call, int]], keep: Callable[[ToolAnswer], None]) -> None:
        if len(calls) == 1:
            keep(await self._one(*calls[0], keep))
            return
        room = asyncio.Semaphore(_AT_ONCE)

        async def run(call: Call, times: int) -> None:
            async with room:
                keep(await self._one(call, times, keep))

        async with asyncio.TaskGroup() as group:
            for call, times in calls:
                group.create_task(run(call, times))

    async def _one(self, call: Call, times: int, keep: Callable[[ToolAnswer], None]) -> ToolAnswer:
        if times >= STOP_AT:
            words = f"not run: the same call {times} times in a row; do something else or ask the user"
            return ToolAnswer(call.id, call.name, words, failed=True)
        try:
            answer = await self.call(call)
        except Interrupted as cut:
            keep(ToolAnswer(call.id, call.name, cut.text, failed=True))
            raise asyncio.CancelledError from None
        note = f"\n[This is the same call {times} times in a row. Its result will not change by itself.]"
        text = _bounded(answer.text) + (note if times >= NOTE_AT else "")
        return ToolAnswer(call.id, call.name, text, answer.failed, answer.images)

    async def call(self, call: Call) -> Answer:
        """Run one call between its `ToolStarted` and `ToolEnded`; every failure becomes words for the model.

        Cancelled, it raises Interrupted where the tool has something to say of what it did.
        """
        started = time.monotonic()
        self._emit(ToolStarted(call.id, call.name, _shown(call.arguments)))
        answer = Answer("interrupted", failed=True)
        stop = bytearray(1)
        try:
            answer = await self._run(call, stop)
        except Interrupted as cut:
            if not cut.text:
                raise asyncio.CancelledError from None
            answer = Answer(f"{_bounded(cut.text)}\n{INTERRUPTED}", failed=True)
            raise Interrupted(answer.text) from None
        except NanocodeError as error:
            answer = Answer(str(error) + (f"\nhint: {error.hint}" if error.hint else ""), failed=True)
        except OSError as error:
            answer = Answer(_words(error), failed=True)
        except Exception as error:  # A tool's bug must not end the session: the model reads it and goes on.
            answer = Answer(f"`{call.name}` failed: {type(error).__name__}: {error}", failed=True)
        finally:
            stop[0] = 1
            spent = round((time.monotonic() - started) * 1000)
            self._emit(ToolEnded(call.id, call.name, answer.text, answer.failed, spent, answer.details))
        return answer

    async def _run(self, call: Call, stop: bytearray) -> Answer:
        tool = self.tools.get(call.name)
        if tool is None:
            raise ToolError(f"there is no tool `{call.name}`; the tools are: {', '.join(self.tools) or 'none'}")
        checked = arguments(tool, call.arguments)
        context = Context(
            self._settings,
            lambda text: self._emit(ToolOutput(call.id, text)),
            stop,
            self._stamps,
            self.takes_images,
            self.changing,
            self.said,
            self.servers,
            jobs=self.jobs,
        )
        result = await tool.run(context, **checked)
        return Answer(result.text, False, result.images, result.details)


class Guard:
    """Counts how often the very same call came in a row."""

    def __init__(self) -> None:
        self._last: tuple[str, str] | None = None
        self._times = 0

    def count(self, call: Call) -> int:
        this = (call.name, call.arguments)
        self._times = self._times + 1 if this == self._last else 1
        self._last = this
        return self._times

    def tripped(self, times: int) -> bool:
        """Whether so many are too many; if so, counting starts afresh."""
        if times < STOP_AT:
            return False
        self._last, self._times = None, 0
        return True


def select(tools: Sequence[Tool], names: str) -> list[Tool]:
    """The tools that a `--tools` value names. Raises UsageError, listing the known ones, for an unknown name."""
    if names.strip().lower() in _EVERYTHING:
        return list(tools)
    if names.strip().lower() in ("none", ""):
        return []
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {tool.name: tool for tool in tools}
    for name in wanted:
        # The tools of an MCP server are known once it was asked.
        if name not in known and not name.startswith("mcp__"):
            raise UsageError(f"unknown tool `{name}`", f"the tools are: {', '.join(known)}; or `none`, `all`")
    return [tool for tool in tools if tool.name in wanted]


# The last six are preset names of older versions, which all mean the whole surface now.
_EVERYTHING = ("all", "default", "*", "core", "pi", "readonly", "extended", "rich", "safe")


def _shown(arguments: str) -> dict[str, Any] | str:
    try:
        value = parsed(arguments)
    except ToolError:
        return arguments
    return value if isinstance(value, dict) else arguments


def _words(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{what}: `{error.filename}`" if error.filename else what


def _bounded(text: str) -> str:
    if len(text) <= _ANSWER_LIMIT:
        return text
    half = _ANSWER_LIMIT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"
