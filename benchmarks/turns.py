"""The turns of an agent at work on some sources: drawn by chance, answered by the real tools; knows no tokeniser."""

import asyncio
import json
import random
import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from nanocode.agent.toolbox import Toolbox
from nanocode.messages import Assistant, Call, Message, ToolAnswer, User
from nanocode.settings import Settings
from nanocode.tools import ALL

TURNS = 80
# A folder to work on: so many sources at least, and no more bytes than that.
SOURCES, SIZE = 8, 4 << 20
TEXT = (".c", ".h", ".py", ".rs", ".go", ".js", ".ts", ".java", ".md", ".rst", ".sh")
# What is done how often.
ACTIONS = {"read": 40, "grep": 20, "bash": 20, "edit": 15, "ls": 5}
COMMANDS = (
    "wc -l *",
    "ls -la",
    "git diff --no-index --stat {one} {other}",
    "diff -u {one} {other} | head -{lines}",
    "grep -n {word} -r . | head -{lines}",
    "head -{lines} {one}",
    "md5sum * 2>&1 | head -{lines}",
)
WORDS = "Now I see how this works: the caller keeps the lock, so the change belongs where it is taken. Next I look at "


def folders(tree: Path) -> list[Path]:
    """Those with enough sources to work on, in order."""
    found = (folder for folder in sorted({path.parent for path in sources(tree)}))
    return [each for each in found if len([*each.glob("*")]) >= SOURCES and weight(each) <= SIZE]


def sources(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in TEXT and path.is_file() and path.stat().st_size > 2000)


def weight(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def session(folder: Path, seed: int) -> list[Message]:
    """One request of the user and the turns on it, over a copy of the folder."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place, folder.name)
        shutil.copytree(folder, work, symlinks=True)
        return asyncio.run(Worker(work, seed).worked())


class Worker:
    def __init__(self, folder: Path, seed: int) -> None:
        self.chance, self.folder = random.Random(seed), folder
        self.paths = [str(path.relative_to(folder)) for path in sorted(sources(folder))]
        self.toolbox = Toolbox(ALL, Settings(folder, folder), lambda event: None)
        self.seen = ["return", "if"]

    async def worked(self) -> list[Message]:
        messages: list[Message] = [User(WORDS * 3)]
        for turn in range(TURNS):
            names = self.chance.choices([*ACTIONS], [*ACTIONS.values()], k=self.chance.choice((1, 1, 1, 2, 3)))
            calls = [self.call(f"{turn}.{place}", name) for place, name in enumerate(names)]
            answers: list[ToolAnswer] = []
            await self.toolbox.answer(calls, answers.append)
            words = (WORDS * 4)[: self.chance.randrange(len(WORDS) * 4)]
            messages += [Assistant(words, "", tuple(calls)), *answers]
            self.seen = re.findall(r"[A-Za-z_]{4,}", answers[-1].text)[-400:] or self.seen
        return messages

    def call(self, id: str, name: str) -> Call:
        return Call(id, name, json.dumps(getattr(self, name)()))

    def read(self) -> dict[str, Any]:
        path = self.chance.choice(self.paths)
        if self.chance.random() < 0.3:
            return {"path": path}
        return {"path": path, "offset": self.chance.randrange(1, 200), "limit": self.chance.randrange(30, 300)}

    def grep(self) -> dict[str, Any]:
        return {"pattern": self.chance.choice(self.seen), "limit": self.chance.choice((20, 50, 100))}

    def bash(self) -> dict[str, Any]:
        one, other = self.chance.choices(self.paths, k=2)
        shaped = self.chance.choice(COMMANDS).format(
            one=one, other=other, word=self.chance.choice(self.seen), lines=self.chance.randrange(10, 150)
        )
        return {"command": shaped}

    def edit(self) -> dict[str, Any]:
        path = self.chance.choice(self.paths)
        lines = (self.folder / path).read_text("utf-8", "replace").split("\n")
        start = self.chance.randrange(max(1, len(lines) - 8))
        old = "\n".join(islice(lines, start, start + self.chance.randrange(3, 8)))
        new = old.replace("(", "(changed, ", 1) + "\n    # said why"
        return {"path": path, "edits": [{"oldText": old, "newText": new}]}

    def ls(self) -> dict[str, Any]:
        return {"path": "."}
