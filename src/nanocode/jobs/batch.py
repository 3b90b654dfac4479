"""Many tasks to the end, each exactly once: results on disk, what is missing, a summary; knows no terminal."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Protocol

from nanocode import atomic
from nanocode.errors import NanocodeError, UsageError
from nanocode.jobs.attempt import Plan, Result, halted_within, perform
from nanocode.jobs.tasks import Task
from nanocode.jsontext import dumps, loads
from nanocode.messages import Usage

try:
    import fcntl
except ImportError:  # Windows has no flock: two batches on one folder are not kept apart there
    fcntl = None  # type: ignore[assignment]

# Failures of the surroundings: another run of the batch tries these again.
_AGAIN = ("cancelled",)
_NAMED = 20


class Pool(Protocol):
    """What runs tasks side by side."""

    def run(self, tasks: Sequence[Task], plan: Plan) -> Iterator[Result]:
        """Each task's result as it comes, in any order; none twice. Ends early once `attempt.halt` was called."""


class Local:
    """Children of this process, `workers` at once."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def run(self, tasks: Sequence[Task], plan: Plan) -> Iterator[Result]:
        waiting, lock = iter(tasks), Lock()
        results: SimpleQueue[Result | None] = SimpleQueue()

        def work() -> None:
            try:
                while not halted_within(plan.batch, 0):
                    with lock:
                        task = next(waiting, None)
                    if task is None:
                        return
                    results.put(perform(task, plan))
            finally:
                results.put(None)

        count = min(self._workers, len(tasks))
        threads = [Thread(target=work, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        while count:
            result = results.get()
            if result is None:
                count -= 1
            else:
                yield result


@dataclass(slots=True)
class Summary:
    """How a batch stands. `states` counts tasks by state, `failures` names some of those that are not done."""

    total: int
    states: dict[str, int] = field(default_factory=dict)
    ran: int = 0
    skipped: int = 0
    tries: int = 0
    seconds: float = 0.0
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    cost: float | None = 0.0
    failures: list[str] = field(default_factory=list)
    transient: int = 0

    @property
    def missing(self) -> int:
        """Tasks without a result."""
        return self.total - sum(self.states.values())

    def add(self, result: Mapping[str, Any]) -> None:
        state = str(result["state"])
        self.states[state] = self.states.get(state, 0) + 1
        self.tries += result["tries"]
        self.usage += Usage(**result["usage"])
        self.cost = None if self.cost is None or result["cost"] is None else self.cost + result["cost"]
        self.transient += bool(result["transient"])
        if state != "done" and len(self.failures) < _NAMED:
            self.failures.append(f"{result['id']}: {state}: {' '.join(str(result['error']).split())[:200]}")

    @property
    def exit_code(self) -> int:
        """0 all done, 1 some failed, 75 another run may cure all that is not done."""
        bad = self.total - self.states.get("done", 0)
        return 0 if not bad else 75 if bad == self.transient + self.missing else 1

    def json(self) -> dict[str, Any]:
        return {"type": "summary", **asdict(self), "missing": self.missing}


class Batch:
    """Tasks, and the folder `out` that keeps their results: `results/ID.json` each, then all as JSON lines.

    `label` tells the files of one shard from those of another. With `again`, failed tasks are run again too.
    """

    def __init__(self, tasks: Sequence[Task], plan: Plan, out: Path, label: str = "", again: bool = False) -> None:
        self.tasks, self.plan, self.out = tasks, plan, out
        self._label, self._again = label, again
        self._results = out / "results"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other batch work on the same tasks in the same folder. Raises UsageError when one does."""
        try:
            self._results.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.out / f".lock{self._label}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            words = f"the results cannot be kept: {error.strerror or error}: `{error.filename}`"
            raise UsageError(words, "--out names another folder") from None
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UsageError(f"another batch is at work in `{self.out}`", "wait for it, or use --out") from None
        finally:
            os.close(lock)

    def missing(self) -> list[Task]:
        """The tasks that have no result that counts."""
        return [task for task in self.tasks if not self._settled(task)]

    def _settled(self, task: Task) -> bool:
        result = self._result(task)
        if result is None or result.get("digest") != task.digest or result["state"] in _AGAIN:
            return False
        return result["state"] == "done" or not (result["transient"] or self._again)

    def _result(self, task: Task) -> Result | None:
        try:
            result = loads((self._results / f"{task.name}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) else None

    def run(self, pool: Pool, tasks: Sequence[Task], shown: Callable[[Result], None]) -> None:
        """Take these tasks to their ends; `shown` gets each result after it is kept."""
        for result in pool.run(tasks, self.plan):
            if result["state"] != "cancelled":
                self._keep(result)
                shown(result)

    def _keep(self, result: Result) -> None:
        path = self._results / f"{Task(str(result['id']), '').name}.json"
        try:
            atomic.replace(path, dumps(result) + b"\n")
        except OSError as error:
            words = f"a result cannot be kept: {error.strerror or error}: `{path}`"
            raise NanocodeError(words, "make room; the same command goes on") from None

    def finish(self, ran: int, seconds: float) -> Summary:
        """Write all results as JSON lines, and the summary; one result is in memory at a time."""
        summary = Summary(len(self.tasks), ran=ran, seconds=round(seconds, 3))
        try:
            self._write(summary)
        except OSError as error:
            words = f"the summary cannot be kept: {error.strerror or error}: `{error.filename or self.out}`"
            raise NanocodeError(words, "make room; the same command goes on") from None
        return summary

    def _write(self, summary: Summary) -> None:
        lines = self.out / f"results{self._label}.jsonl"
        temporary = lines.with_suffix(f".{os.getpid()}.tmp")
        with open(temporary, "wb") as file:
            for task in self.tasks:
                if (result := self._result(task)) is not None and result.get("digest") == task.digest:
                    summary.add(result)
                    file.write(dumps(result) + b"\n")
        os.replace(temporary, lines)
        summary.skipped = summary.total - summary.missing - summary.ran
        atomic.replace(self.out / f"summary{self._label}.json", dumps(summary.json()) + b"\n")


class Pace:
    """How fast a batch goes: done so far, tasks a second, seconds to the end."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self._started = time.monotonic()

    def add(self, result: Result) -> None:
        self.done += 1
        self.failed += result["state"] != "done"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def rate(self) -> float:
        return self.done / max(self.seconds, 1e-9)

    @property
    def left(self) -> float:
        return (self.total - self.done) / self.rate if self.done else float("inf")
