"""The child agents of one session: start, list, read, cancel, and what is to be told of them; knows no tool."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Thread
from typing import Any

from nanocode.errors import ToolError
from nanocode.events import Emit, Event, JobChanged, ToolEnded, ToolStarted
from nanocode.jobs.child import Child, Order, Outcome, environment, inherited
from nanocode.messages import JOB_ENDED
from nanocode.settings import Settings

DEPTH = 3
# Enough for any plan that makes sense, and few enough for the machine to stay usable.
AT_ONCE = 32
_SHOWN_EVERY_SECONDS = 0.25
_TITLE, _ACTIVITY = 80, 100


@dataclass(slots=True)
class Job:
    """One child; `outcome` is there once it has ended. `told`: the conversation has its result, or needs none."""

    id: str
    prompt: str
    background: bool
    child: Child
    told: bool
    started: float = field(default_factory=time.monotonic)
    activity: str = ""
    outcome: Outcome | None = None
    shown: float = 0.0
    timer: asyncio.TimerHandle | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def state(self) -> str:
        return self.outcome.state if self.outcome else "running"

    @property
    def seconds(self) -> float:
        return self.outcome.seconds if self.outcome else time.monotonic() - self.started

    def line(self) -> str:
        """`nano-1  running 12 s  bash: pytest  prompt`, for people and models."""
        what = self.activity if self.outcome is None else self.outcome.error
        return "  ".join(each for each in (self.id, f"{self.state} {_clock(self.seconds)}", what, self.prompt) if each)


class Board:
    """Jobs by id, `nano-1` first. Lives in one event loop; each child is heard in a thread of its own.

    Children get `model` and no tool but those of `tools`. `arrived` is called when a result waits for `take_news`,
    which gives each one once.
    """

    def __init__(
        self,
        settings: Settings,
        emit: Emit,
        *,
        tools: Callable[[], Collection[str]],
        arrived: Callable[[], None] = lambda: None,
    ) -> None:
        self.jobs: dict[str, Job] = {}
        self.model, self.session = settings.model, ""
        self._settings, self._emit, self._tools, self._arrived = settings, emit, tools, arrived
        self._loop = asyncio.get_running_loop()

    def order(
        self,
        prompt: str,
        *,
        cwd: Path | None = None,
        model: str = "",
        tools: str = "",
        system: str = "",
        seconds: float | None = None,
    ) -> Order:
        """What a child is asked: what binds this session binds it too. Raises ToolError for what it may not do."""
        if self._settings.depth >= DEPTH:
            raise ToolError(f"children may stand {DEPTH} deep, and this is one of the last; do the task yourself")
        flags = ["--model", model or self.model, "--tools", self._allowed(tools)]
        flags += ["--append-system-prompt", system] if system else []
        environ = environment(self._settings, self.session)
        return Order(prompt, cwd or self._settings.cwd, (*inherited(self._settings), *flags), environ, seconds)

    def _allowed(self, asked: str) -> str:
        names = [name.strip() for name in (asked or "all").split(",") if name.strip()]
        if names in (["all"], ["default"], ["*"]):
            return ",".join(each for each in self._settings.tools.split(",") if each.strip() != "nanocode") or "none"
        mine = self._tools()
        for name in names:
            if name not in mine and name != "none":
                raise ToolError(f"no tool `{name}` to give to a child; there are: {', '.join(mine) or 'none'}")
        return ",".join(names)

    def start(self, order: Order, *, background: bool, tell: bool) -> Job:
        """Start a child; `tell` puts its result into the conversation by itself. Raises ToolError when too many run."""
        if len(self.running) >= AT_ONCE:
            raise ToolError(f"{AT_ONCE} jobs are running; wait for one to end, or cancel one")
        id = f"nano-{len(self.jobs) + 1}"
        child = Child(order, lambda event: self._soon(self._hear, job, event))
        job = self.jobs[id] = Job(id, _short(order.prompt, _TITLE), background, child, not tell)
        self._show(job)
        Thread(target=self._work, args=(job,), name=id, daemon=True).start()
        return job

    async def run(self, order: Order) -> Job:
        """A child from start to end; when the caller is cancelled, so is the child."""
        job = self.start(order, background=False, tell=False)
        try:
            await job.ended.wait()
        finally:
            await self._stop([job])
        return job

    def find(self, id: str) -> Job:
        """Raises ToolError, naming those that there are."""
        if id not in self.jobs:
            raise ToolError(f"there is no job `{id}`; there are: {', '.join(self.jobs) or 'none yet'}")
        return self.jobs[id]

    async def cancel(self, id: str) -> Job:
        """End a job and wait until it has ended. Its result is not told."""
        job = self.find(id)
        if job.outcome is None:
            job.told = True
        await self._stop([job])
        return job

    def read(self, id: str, limit: int) -> str:
        """The result of a job, or how far it is; one that was read is not told again."""
        job = self.find(id)
        if job.outcome is None:
            return f"{job.id} is still running ({_clock(job.seconds)}{f', {job.activity}' if job.activity else ''})"
        job.told = True
        return report(job, limit)

    @property
    def news(self) -> bool:
        """Whether a result waits to be told."""
        return any(job.outcome and not job.told for job in self.jobs.values())

    def take_news(self) -> tuple[str, ...]:
        """The results that nobody has been told yet, in the order of the jobs."""
        limit = self._settings.job_characters
        waiting = [job for job in self.jobs.values() if job.outcome and not job.told]
        for job in waiting:
            job.told = True
        return tuple(f"{JOB_ENDED}{job.id} has ended. It was: {job.prompt}]\n{report(job, limit)}" for job in waiting)

    async def expected(self) -> None:
        """Wait for the next result that will be told; return at once when there is none to wait for."""
        while not self.news:
            waiting = [job for job in self.running if not job.told]
            if not waiting:
                return
            tasks = [asyncio.ensure_future(job.ended.wait()) for job in waiting]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()

    def forget(self) -> None:
        """Tell nothing more of the jobs so far: the conversation that asked for them is over."""
        for job in self.jobs.values():
            job.told = True

    async def close(self) -> None:
        """Cancel all that runs, and wait for it."""
        self.forget()
        await self._stop(self.running)

    @property
    def running(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.outcome is None]

    async def _stop(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.outcome is None:
                job.child.cancel()
        for job in jobs:
            await job.ended.wait()

    def _work(self, job: Job) -> None:
        outcome = Outcome("failed", error="what it said could not be read")
        try:
            outcome = job.child.run()
        finally:
            self._soon(self._end, job, outcome)

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        # A loop that was closed without `close` hears nothing more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _hear(self, job: Job, event: Event) -> None:
        match event:
            case ToolStarted(name=name, args=args):
                job.activity = _short(f"{name}: {_first(args)}".removesuffix(": "), _ACTIVITY)
            case ToolEnded():
                job.activity = ""
                return
            case _:
                return
        if job.timer is None:
            # A child with a thousand quick tools is not a thousand events.
            wait = job.shown + _SHOWN_EVERY_SECONDS - time.monotonic()
            job.timer = self._loop.call_later(max(0.0, wait), self._tick, job)

    def _tick(self, job: Job) -> None:
        job.timer = None
        if job.outcome is None and job.activity:
            self._show(job)

    def _end(self, job: Job, outcome: Outcome) -> None:
        job.outcome, job.activity = outcome, ""
        if job.timer is not None:
            job.timer.cancel()
        self._show(job)
        job.ended.set()
        if not job.told:
            self._arrived()

    def _show(self, job: Job) -> None:
        job.shown = time.monotonic()
        now = JobChanged(job.id, job.state, job.prompt, job.background, job.activity, round(job.seconds, 3))
        if end := job.outcome:
            now = replace(now, usage=end.usage, cost=end.cost, error=end.error)
        self._emit(now)


def report(job: Job, limit: int) -> str:
    """The text of an ended job, at most `limit` characters of it, and how it went."""
    outcome = job.outcome
    assert outcome is not None
    text = outcome.text
    if len(text) > limit:
        more = f"action=read, jobId={job.id}, maxCharacters={len(text)}"
        text = f"{text[:limit]}\n[Showing characters 1-{limit} of {len(text)}. Call nanocode with {more} for all.]"
    turns = f"{outcome.turns} turn{'' if outcome.turns == 1 else 's'}"
    spent = f"{turns}, {outcome.usage.input} + {outcome.usage.output} tokens"
    session = f", session {outcome.session}" if outcome.session else ""
    why = f": {outcome.error}" if outcome.error else ""
    last = f"[{job.id} {_STATES[outcome.state]} after {_clock(outcome.seconds)}{why}; {spent}{session}]"
    return f"{text}\n{last}" if text else last


_STATES = {"done": "done", "failed": "failed", "cancelled": "cancelled", "timeout": "timed out"}


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _short(text: str, limit: int) -> str:
    text = " ".join(text[: 4 * limit].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _first(args: Any) -> str:
    values = args.values() if isinstance(args, dict) else [args]
    return next((each for each in values if isinstance(each, str)), "")
