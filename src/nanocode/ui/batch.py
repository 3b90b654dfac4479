"""`nanocode batch` in front of a person or a program: flags to a batch, progress, the summary; knows no child."""

import os
import sys
import time
from collections.abc import Mapping
from threading import Thread
from typing import Any

from nanocode.errors import UsageError
from nanocode.jobs import tasks
from nanocode.jobs.attempt import Plan, Result, halt, uncommitted
from nanocode.jobs.batch import Batch, Local, Pace, Pool, Summary
from nanocode.jobs.child import environment, inherited
from nanocode.jobs.cluster import Cluster
from nanocode.jsontext import dumps
from nanocode.settings import SECRET_VARIABLES, VARIABLES, Settings
from nanocode.ui.sink import Output

_SHOWN_EVERY_SECONDS = 0.2
_WORKERS_PER_CORE = 2
# What a worker of a cluster must know of this side; keys it has of its own, they never travel.
_TRAVEL = {row.name for row in VARIABLES} - {*SECRET_VARIABLES, "OPENCODE_AUTH_JSON", "NANOCODE_DIR", "NANOCODE_EXT"}


class Run:
    """One `nanocode batch`. `run` gives the exit code; `stop` ends it from a signal's handler."""

    def __init__(
        self, settings: Settings, words: list[str], flags: Mapping[str, Any], out: Output, err: Output, *, live: bool
    ) -> None:
        self._settings, self._flags, self._out, self._err = settings, flags, out, err
        self._json, self._live = flags["mode"] == "json", live and not flags["quiet"]
        self._number = 0
        self._shown = 0.0
        chosen, name = self._tasks(words)
        index, count = self._part()
        label = f"-{index + 1}-of-{count}" if count > 1 else ""
        self._say(f"shard {index + 1} of {count}" if count > 1 else "")
        out_folder = settings.cwd / (flags["out"] or f"{name}.out")
        plan = self._plan(out_folder / "attempts")
        self._batch = Batch(tasks.part(chosen, index, count), plan, out_folder, label, bool(flags["retry_failed"]))

    def _tasks(self, words: list[str]) -> tuple[list[tasks.Task], str]:
        prompt, each = self._flags["prompt"], self._flags["each"]
        way = "nanocode batch tasks.jsonl, or nanocode batch --prompt 'review {path}' --each 'src/**/*.py'"
        if prompt and each and not words:
            return tasks.each(each, prompt, self._settings.cwd), "batch"
        if len(words) != 1 or prompt or each:
            raise UsageError("a batch needs one file of tasks, or --prompt with --each", way)
        path = self._settings.cwd / words[0]
        return tasks.read(path), str(path.with_suffix(""))

    def _part(self) -> tuple[int, int]:
        return tasks.shard(self._flags["shard"] or "", self._settings.environ)

    def _plan(self, attempts: Any) -> Plan:
        settings, flags = self._settings, self._flags
        id = os.urandom(4).hex()
        environ = environment(settings, f"batch-{id}")
        far = bool(flags["scheduler"])
        extra = {name: value for name, value in environ.items() if name in _TRAVEL} if far else {}
        return Plan(
            id,
            settings.cwd,
            inherited(settings),
            settings.model,
            settings.tools,
            None if far else environ,
            extra,
            _number(flags, "timeout", float),
            _number(flags, "tries_each", int) or 3,
            settings.retry_seconds,
            bool(flags["worktree"]),
            None if far and not flags["shared"] else attempts,
        )

    def run(self) -> int:
        """Run what is missing; what was kept before counts as well."""
        batch, started = self._batch, time.monotonic()
        with batch.locked():
            missing = batch.missing()
            if kept := len(batch.tasks) - len(missing):
                self._say(f"{kept} of {len(batch.tasks)} tasks have a result in `{batch.out}`")
            if missing and batch.plan.worktree and uncommitted(batch.plan.cwd):
                self._say("worktrees hold the last commit: tasks do not see what is changed here since")
            pace = Pace(len(missing))
            if missing and not self._number:
                batch.run(self._opened(), missing, lambda result: self._took(result, pace))
            summary = batch.finish(pace.done, time.monotonic() - started)
        self._end(summary)
        return 128 + self._number if self._number else summary.exit_code

    def stop(self, number: int) -> None:
        self._number = number
        # In a thread: this one may hold the very lock that halting needs.
        Thread(target=halt, args=(self._batch.plan.batch,), daemon=True).start()

    def _opened(self) -> Pool:
        if address := self._flags["scheduler"]:
            resources = _resources(self._flags["resources"] or "")
            return Cluster(address, resources, self._settings.connect_seconds)
        return Local(_number(self._flags, "workers", int) or _WORKERS_PER_CORE * (os.cpu_count() or 1))

    def _took(self, result: Result, pace: Pace) -> None:
        pace.add(result)
        if self._json:
            self._out.lines(dumps({"type": "result"} | result) + b"\n")
        if result["state"] != "done" and not self._flags["quiet"]:
            self._clear()
            self._err.write(f"nanocode: {result['id']}: {result['state']}: {_line(str(result['error']))}\n")
        if self._live and time.monotonic() - self._shown > _SHOWN_EVERY_SECONDS:
            self._shown = time.monotonic()
            self._clear()
            failed = f", {pace.failed} not done" if pace.failed else ""
            self._put(f"{pace.done}/{pace.total}{failed} · {pace.rate:.1f}/s · {_clock(pace.left)} left")

    def _put(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._live:
            self._put("\r\x1b[K")

    def _say(self, text: str) -> None:
        if text and not self._flags["quiet"]:
            self._err.write(f"nanocode: {text}\n")

    def _end(self, summary: Summary) -> None:
        self._clear()
        if self._number:
            self._say(f"stopped; {summary.missing} tasks have no result yet, the same command goes on")
        if self._json:
            self._out.lines(dumps(summary.json()) + b"\n")
        else:
            self._out.write(table(summary, str(self._batch.out)))


def table(summary: Summary, out: str) -> str:
    """The summary for people."""
    cost = "unknown" if summary.cost is None else f"${summary.cost:.4f}"
    usage = summary.usage
    rows = [
        ("tasks", f"{summary.total} ({summary.ran} run now, {summary.skipped} before)"),
        *((state, str(count)) for state, count in sorted(summary.states.items())),
        *([("no result", str(summary.missing))] if summary.missing else []),
        ("tries", str(summary.tries)),
        ("tokens", f"{usage.input:,} in ({usage.cached:,} cached), {usage.output:,} out"),
        ("cost", cost),
        ("time", f"{_clock(summary.seconds)}, {summary.ran / max(summary.seconds, 1e-9):.1f} tasks/s"),
        ("results", out),
    ]
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:{width}}  {value}\n" for name, value in rows) + "".join(
        f"{'':{width}}  {failure}\n" for failure in summary.failures
    )


def _number(flags: Mapping[str, Any], field: str, kind: type[int] | type[float]) -> Any:
    """The number of a flag, None where it is not given. Raises UsageError."""
    text = flags[field]
    if text is None:
        return None
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if not number > 0:
        raise UsageError(f"`--{field.split('_')[0]}` must be a positive number, not `{text}`", "such as 4")
    return number


def _resources(text: str) -> dict[str, float]:
    try:
        pairs = [part.split("=") for part in text.split(",") if part]
        return {name: float(value) for name, value in pairs}
    except ValueError:
        raise UsageError(f"`--resources {text}` is not understood", "such as --resources nanocode=1") from None


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
