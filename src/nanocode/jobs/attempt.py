"""Runs one task to its result: tries, a folder of its own for each, a worktree; knows nothing of pools or other tasks.

Everything here can go to another machine: values that pickle, functions that block.
"""

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Any

from nanocode.jobs.child import Child, Order, Outcome
from nanocode.jobs.tasks import Task

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the tasks of one batch share. `attempts` None keeps nothing but the result.

    `environ` and `extra` are those of an Order. A try that fails in transit is followed by another, `tries` in all.
    """

    batch: str
    cwd: Path
    flags: tuple[str, ...] = ()
    model: str = ""
    tools: str = ""
    environ: Mapping[str, str] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    seconds: float | None = None
    tries: int = 3
    pause: float = 2.0
    worktree: bool = False
    attempts: Path | None = None


@dataclass(slots=True)
class _Batch:
    """What runs of one batch in this process."""

    halted: Event = field(default_factory=Event)
    children: set[Child] = field(default_factory=set)


_batches: dict[str, _Batch] = {}
_lock = Lock()
# git does not wait for a worktree that another process is adding.
_git = Lock()


def halt(batch: str) -> None:
    """End what this process runs of a batch, and begin nothing more of it."""
    here = _here(batch)
    here.halted.set()
    with _lock:
        for child in here.children:
            child.cancel()


def halted_within(batch: str, seconds: float) -> bool:
    """Wait until the batch is halted, or for so long; whether it is."""
    return _here(batch).halted.wait(seconds)


def _here(batch: str) -> _Batch:
    with _lock:
        return _batches.setdefault(batch, _Batch())


def perform(task: Task, plan: Plan) -> Result:
    """The result of a task, whatever became of it; `state` is cancelled when the batch was halted."""
    here = _here(plan.batch)
    outcome, number = Outcome("cancelled"), 0
    extra: Result = {}
    while number < plan.tries and not here.halted.is_set():
        if number and here.halted.wait(plan.pause * 2 ** (number - 1)):
            break
        number += 1
        try:
            outcome, extra = _attempt(task, plan, here)
        except OSError as error:
            # A full disk, most likely: not the task's fault.
            words = f"it could not be kept: {error.strerror or error}: `{error.filename}`"
            outcome, extra = Outcome("failed", error=words, transient=True), {}
        if not outcome.transient:
            break
    values = asdict(outcome)
    state = "cancelled" if here.halted.is_set() and outcome.state != "done" else outcome.state
    about = {"id": task.id, "digest": task.digest, "state": state}
    result = about | {name: values[name] for name in values if name != "state"} | extra
    return result | {"tries": number, "host": socket.gethostname()}


def _attempt(task: Task, plan: Plan, here: _Batch) -> tuple[Outcome, Result]:
    cwd = plan.cwd / task.cwd
    if not cwd.is_dir():
        return Outcome("failed", error=f"there is no folder `{cwd}` on {socket.gethostname()}"), {}
    with _folder(task, plan) as folder:
        try:
            with _place(cwd, folder, plan) as (place, changes):
                outcome = _run(_order(task, plan, place), folder, here)
                patch = changes()
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip()
            return Outcome("failed", error=f"there is no worktree of `{cwd}`: {said}"), {}
        extra = {"attempt": str(folder)} if plan.attempts else {}
        if plan.worktree and plan.attempts:
            (folder / "changes.patch").write_bytes(patch)
        elif plan.worktree:
            extra["patch"] = patch.decode("utf-8", "replace")
        return outcome, extra


def _order(task: Task, plan: Plan, cwd: Path) -> Order:
    flags = [*plan.flags]
    for flag, value in (
        ("--model", task.model or plan.model),
        ("--tools", task.tools or plan.tools),
        ("--append-system-prompt", task.system),
    ):
        flags += [flag, value] if value else []
    return Order(task.prompt, cwd, tuple(flags), plan.environ, task.timeout or plan.seconds, plan.extra)


def _run(order: Order, folder: Path, here: _Batch) -> Outcome:
    with open(folder / "events.jsonl", "wb", buffering=0) as log:
        child = Child(order, log=log)
        with _lock:
            here.children.add(child)
        try:
            # Halted between the check before and the line above, nobody would cancel it.
            if here.halted.is_set():
                child.cancel()
            return child.run()
        finally:
            with _lock:
                here.children.discard(child)


@contextmanager
def _folder(task: Task, plan: Plan) -> Iterator[Path]:
    """A folder that no earlier try has written to."""
    if plan.attempts is None:
        with tempfile.TemporaryDirectory(prefix="nanocode-") as name:
            yield Path(name)
        return
    parent = plan.attempts / task.name
    parent.mkdir(parents=True, exist_ok=True)
    number = 1 + sum(1 for _ in parent.iterdir())
    while True:
        with suppress(FileExistsError):
            (parent / str(number)).mkdir()
            break
        number += 1
    yield parent / str(number)


@contextmanager
def _place(cwd: Path, folder: Path, plan: Plan) -> Iterator[tuple[Path, Any]]:
    """Where the child works, and what gives its changes as a patch: `cwd` itself, or the same folder of a worktree."""
    if not plan.worktree:
        yield cwd, bytes
        return
    tree, base = folder / "worktree", _asked(cwd, "rev-parse", "HEAD").decode().strip()
    with _git:
        for left in folder.parent.glob("[0-9]*/worktree") if plan.attempts else ():
            # `kill -9` of an earlier batch left it.
            with suppress(subprocess.CalledProcessError):
                _asked(cwd, "worktree", "remove", "--force", str(left))
        _asked(cwd, "worktree", "add", "--detach", str(tree), base)
    try:
        yield tree / os.fsdecode(_asked(cwd, "rev-parse", "--show-prefix").rstrip(b"\n")), lambda: _patch(tree, base)
    finally:
        with _git:
            _asked(cwd, "worktree", "remove", "--force", str(tree))


def uncommitted(cwd: Path) -> bool:
    """Whether files that git knows were changed since the last commit, so that a worktree does not have them so."""
    try:
        return bool(_asked(cwd, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return False


def _patch(tree: Path, base: str) -> bytes:
    _asked(tree, "add", "--all")
    return _asked(tree, "diff", "--cached", "--binary", base)


def _asked(cwd: Path, *words: str) -> bytes:
    """What git answers. Raises CalledProcessError."""
    return subprocess.run(["git", *words], cwd=cwd, capture_output=True, check=True).stdout
