"""What a batch has to do: tasks from a file or a glob, and which of them are one shard's; knows no processes."""

import codecs
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from nanocode import hot
from nanocode.errors import UsageError
from nanocode.jsontext import dumps, loads

_ALIASES = {"task": "prompt", "appendSystemPrompt": "system", "timeoutSeconds": "timeout"}
_NAME = 150
_ARRAYS = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX")


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt for one child. `cwd` is relative to the batch's folder; empty fields mean the batch's own."""

    id: str
    prompt: str
    cwd: str = ""
    model: str = ""
    tools: str = ""
    system: str = ""
    timeout: float | None = None

    @property
    def name(self) -> str:
        """The id as a file name: readable, and never the same for two ids."""
        name = quote(self.id, safe=" @+,=")
        return name if len(name) <= _NAME else f"{name[:_NAME]}-{_hash(self.id)}"

    @property
    def digest(self) -> str:
        """What tells that a result belongs to this very task."""
        return _hash([getattr(self, field.name) for field in fields(self)])


def read(path: Path) -> list[Task]:
    """The tasks of a JSON-lines file. Raises UsageError with the line of what is wrong.

    A task without an id gets one from its content, so that it is known again in a file that has grown.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        words = f"the tasks cannot be read: {error.strerror or error}: `{path}`"
        raise UsageError(words, "nanocode batch TASKS.jsonl, or --prompt with --each") from None
    found = [_task(line, f"line {number} of `{path.name}`") for number, line in enumerate(lines, 1) if line.strip()]
    return _distinct(found)


def _task(line: bytes, where: str) -> Task:
    try:
        data = loads(line)
    except ValueError as error:
        raise UsageError(f"{where} is not JSON: {error}", 'a task is one line such as {"prompt": "…"}') from None
    if not isinstance(data, dict):
        raise UsageError(f"{where} is not a JSON object", 'a task is one line such as {"prompt": "…"}')
    given: dict[str, Any] = {
        _ALIASES.get(str(name), str(name)): value for name, value in data.items() if value is not None
    }
    known = {field.name for field in fields(Task)}
    if unknown := sorted(set(given) - known):
        raise UsageError(f"{where} has the unknown field `{unknown[0]}`", f"the fields are {', '.join(sorted(known))}")
    if isinstance(given.get("tools"), list):
        given["tools"] = ",".join(map(str, given["tools"])) or "none"
    return Task(str(given.pop("id", "")), **_checked(given, where))


def _checked(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not str(given.get("prompt", "")).strip():
        raise UsageError(f"{where} has no `prompt`", "every task needs one")
    for name, value in given.items():
        if name == "timeout":
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise UsageError(f"`timeout` in {where} must be seconds, not `{value}`", "such as 600")
        elif not isinstance(value, str):
            raise UsageError(f"`{name}` in {where} must be a string", "put it in quotes")
    return dict(given)


def _distinct(tasks: Iterable[Task]) -> list[Task]:
    """Tasks with an id each; the same task twice is two tasks. Raises UsageError for an id given twice."""
    seen: dict[str, int] = {}
    named = []
    for task in tasks:
        id = task.id or task.digest
        seen[id] = seen.get(id, 0) + 1
        if task.id and seen[id] > 1:
            raise UsageError(f"two tasks have the id `{id}`", "results are kept by id")
        name = id if seen[id] == 1 else f"{id}-{seen[id]}"
        named.append(Task(name, *(getattr(task, field.name) for field in fields(Task)[1:])))
    return named


def each(pattern: str, template: str, cwd: Path) -> list[Task]:
    """One task for each file that fits the pattern, in path order; what git ignores is left out.

    `{path}`, `{name}`, `{stem}` and `{dir}` in the template become those of the file. Raises UsageError for no file.
    """
    found = hot.walk_tree(str(cwd), globs=[pattern if "/" in pattern else f"/{pattern}"])
    paths = sorted(os.fsdecode(entry.path) for entry in found.entries if entry.kind in ("file", "link"))
    if not paths:
        raise UsageError(f"no file fits `{pattern}`", "such as --each 'src/**/*.py'; quote it, or the shell expands it")
    return [Task(path, _filled(template, PurePosixPath(path))) for path in paths]


def _filled(template: str, path: PurePosixPath) -> str:
    # Not `format`: a prompt may hold braces of its own.
    words = {"{path}": str(path), "{name}": path.name, "{stem}": path.stem, "{dir}": str(path.parent)}
    for name, value in words.items():
        template = template.replace(name, value)
    return template


def shard(asked: str, environ: Mapping[str, str]) -> tuple[int, int]:
    """Which part of the tasks is ours, as (index from 0, count): from `I/N`, or the number of this array job.

    `N` alone takes the index from Slurm's or Kubernetes' variables; without anything Slurm's alone are enough.
    Raises UsageError for what is no part of a whole.
    """
    if not asked and not any(environ.get(name) for name in _ARRAYS):
        return 0, 1
    index, _, count = asked.rpartition("/")
    try:
        place, parts = (int(index) - 1, 0) if index else _array(environ)
        parts = int(count or parts)
    except (ValueError, KeyError):
        place = parts = -1
    if not 0 <= place < parts:
        way = "such as --shard 2/8; --shard 8 inside a Slurm array or a Kubernetes indexed Job"
        raise UsageError(f"`--shard {asked}` is no part of a whole", way)
    return place, parts


def _array(environ: Mapping[str, str]) -> tuple[int, int]:
    """Our index from 0 and how many there are, 0 where only the Job itself knows. Raises KeyError outside."""
    if number := environ.get("SLURM_ARRAY_TASK_ID"):
        first, step, count = (int(environ.get(f"SLURM_ARRAY_TASK_{name}") or 0) for name in ("MIN", "STEP", "COUNT"))
        return (int(number) - first) // (step or 1), count
    return int(environ["JOB_COMPLETION_INDEX"]), 0


def part(tasks: Sequence[Task], index: int, count: int) -> Sequence[Task]:
    """Every task is in the part of exactly one index."""
    return tasks[index::count]


def _hash(value: Any) -> str:
    return hashlib.sha256(dumps(value)).hexdigest()[:12]
