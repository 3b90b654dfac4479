"""What may come next at the cursor: commands, their arguments, files after `@`; knows nothing of how it is shown."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from heapq import nsmallest

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from nanocode import hot
from nanocode.session import Session
from nanocode.ui.commands import available
from nanocode.ui.desk import Option

SHOWN = 50
_FILES, _FRESH_SECONDS = 50_000, 5.0
# A path may be this long.
_LONGEST = 4096
_MENTION = re.compile(r"(?:^|\s)@([^\s@]*)$")


class Suggestions(Completer):
    """Completes at each key; the tree is walked in a thread, and once in a while."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._paths: list[str] = []
        self._walked = -_FRESH_SECONDS
        self._walk: asyncio.Task[list[str]] | None = None

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        return ()

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        before = document.text_before_cursor
        if mention := _mention(before):
            for path in await self._files(mention[1]):
                yield Completion(path, -len(mention[1]), display=path)
        elif before.startswith("/") and "\n" not in before:
            for value, meaning, start in await self._commands(before):
                yield Completion(value, start, display_meta=" ".join(meaning.split())[:100])

    async def _commands(self, line: str) -> Iterable[tuple[str, str, int]]:
        name, blank, argument = line.partition(" ")
        if not blank:
            # An alias shows only to who types it.
            named = ((_first(command.names, line), command.meaning) for command in available(self._session))
            return ((each, meaning, -len(line)) for each, meaning in named if each)
        command = next((each for each in available(self._session) if name in each.names), None)
        options = command.options(self._session) if command and command.options else ()
        # A key typed meanwhile cancels the waiting, not the question.
        known = await asyncio.shield(options) if isinstance(options, asyncio.Future) else options
        return ((*option, -len(argument)) for option in matching(argument, known))

    async def _files(self, typed: str) -> Sequence[str]:
        if time.monotonic() - self._walked > _FRESH_SECONDS and self._walk is None:
            self._walk = asyncio.create_task(asyncio.to_thread(self._listed))
        if self._walk is not None:
            # A key typed meanwhile cancels the waiting, not the walk.
            self._paths = await asyncio.shield(self._walk)
            self._walk, self._walked = None, time.monotonic()
        return await asyncio.to_thread(closest, typed, self._paths)

    def _listed(self) -> list[str]:
        try:
            walk = hot.walk_tree(str(self._session.settings.cwd), limit=_FILES)
        except OSError:
            return []
        return [os.fsdecode(each.path) + ("/" if each.kind == "dir" else "") for each in walk.entries]


def wanted(before: str) -> bool:
    """Whether anything may come after this: cheap, since it is asked at each key, and of a paste as long as any."""
    return before.startswith("/") or bool(_mention(before))


def _mention(before: str) -> re.Match[str] | None:
    return _MENTION.search(before, max(len(before) - _LONGEST, 0))


def _first(names: Sequence[str], typed: str) -> str:
    return next((name for name in names if name.startswith(typed)), "")


def matching(typed: str, options: Iterable[Option]) -> list[Option]:
    """The options that begin with what is typed, then those that hold it."""
    typed = typed.lower()
    known = [option for option in options if typed in option[0].lower()]
    return sorted(known, key=lambda option: not option[0].lower().startswith(typed))[:SHOWN]


def closest(typed: str, paths: Iterable[str]) -> list[str]:
    """The paths that hold the typed characters in order: first by name, then as one piece, then the shortest."""
    wanted = typed.lower()
    if not wanted:
        return nsmallest(SHOWN, paths, key=lambda path: (path.count("/", 0, -1), path))
    scattered = re.compile(".*?".join(map(re.escape, wanted)), re.DOTALL)
    ranked = ((_rank(wanted, path, scattered), path) for path in paths)
    return [path for rank, path in nsmallest(SHOWN, (each for each in ranked if each[0] is not None))]


def _rank(wanted: str, path: str, scattered: re.Pattern[str]) -> tuple[int, int] | None:
    low = path.lower()
    name = low.rstrip("/").rpartition("/")[2]
    if name.startswith(wanted):
        return 0, len(path)
    if wanted in low:
        return (1 if wanted in name or low.startswith(wanted) else 2), len(path)
    found = scattered.search(low)
    return (3, found.end() - found.start() + len(path)) if found else None
