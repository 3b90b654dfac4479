"""Sessions on disk: listing a thousand and resuming 10 MB, compacted or not, against reading the files and no more.

Run `python benchmarks/bench_sessions.py`, with `--record` to keep the figures under `runs/`.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import compare
import orjson

from nanocode.events import Compacted, Event, MessageAdded, RunEnded, RunStarted, UsageReported
from nanocode.messages import Assistant, Call, Message, ToolAnswer, Usage, User, role
from nanocode.store import shelf
from nanocode.store.transcript import Transcript

COUNT = 1000
LONG = 10 << 20
# Rounds of calls between two compactions.
FULL = 300
WORDS = ("the", "walk", "reads", "größer", "木", "def run(self):\n", "    return 1\n", '"quoted"', "\\n", "folder")

Said = list[tuple[str, str]]


def talk(chance: random.Random, full: int | None) -> Iterator[Event]:
    """A conversation without end, as coding has them: an answer calls a tool, whose result is long.

    After `full` such rounds, a summary takes their place.
    """

    def words(count: int) -> str:
        return " ".join(chance.choices(WORDS, k=count))

    yield RunStarted("test-model")
    yield MessageAdded(User(words(30)))
    number = 0
    while True:
        number += 1
        call = Call(f"call_{number}", "read", json.dumps({"path": f"src/file{number}.py", "limit": number}))
        yield MessageAdded(Assistant(words(20), words(60), (call,), Usage(9000, 200, 8000)))
        yield UsageReported(Usage(9000, 200, 8000), 0.01)
        yield MessageAdded(ToolAnswer(call.id, "read", words(chance.randrange(40, 900))))
        if full and not number % full:
            yield Compacted(120_000, 2000, "summary", (User(words(1000)),))


def write(directory: Path, cwd: Path, number: int, size: int, full: int | None = None) -> Path:
    """One session of about that many bytes, written by nanocode itself."""
    id = f"{number:012x}"
    path = shelf.folder(directory, cwd) / f"20261125T{number:06}_{id}.jsonl"
    transcript = Transcript(path, {"id": id, "cwd": str(cwd), "time": "2026-11-25T12:00:00+0000"})
    events = talk(random.Random(number), full)
    while not path.exists() or path.stat().st_size < size:
        for event in islice(events, 3):
            transcript(event)
    transcript(RunEnded("done", (), "done", Usage(), 0.0))
    transcript.close()
    return path


def listed(directory: Path, cwd: Path) -> list[str]:
    return sorted(f"{entry.id} {entry.title}" for entry in shelf.listing(directory, cwd))


def first_lines(folder: Path, loads: Callable[[bytes], Any]) -> list[str]:
    """Each file read whole and its header parsed: the least that a list of titles takes without looking at sizes."""
    headers = (loads(path.read_bytes().partition(b"\n")[0]) for path in folder.iterdir())
    return sorted(f"{header['id']} {header['title']}" for header in headers)


def resumed(path: Path) -> list[Message]:
    transcript = Transcript.resume(path)
    transcript.close()
    return transcript.saved.view


def parsed(path: Path, loads: Callable[[bytes], Any]) -> list[dict[str, Any]]:
    """Every line parsed: what no way to resume can leave out."""
    return [loads(line) for line in path.read_bytes().splitlines()]


def said(messages: list[Message] | list[dict[str, Any]]) -> Said:
    """Messages or records as roles and texts, from the last compaction on."""
    found: Said = []
    for each in messages:
        if not isinstance(each, dict):
            found.append((role(each), each.text))
        elif each["type"] == "message":
            found.append((each["role"], each["text"]))
        elif each["type"] == "compaction":
            found = said([{"type": "message", **kept} for kept in each["messages"]])
    return found


def figures(root: Path, rounds: int) -> list[compare.Figure]:
    directory, cwd, alone = root / "nanocode", root / "work", root / "alone"
    chance = random.Random(6)
    paths = [write(directory, cwd, number, int(chance.lognormvariate(10, 1))) for number in range(COUNT)]
    folder, total = paths[0].parent, sum(path.stat().st_size for path in paths)
    listing = {
        "nanocode": lambda: listed(directory, cwd),
        "read whole, orjson": lambda: first_lines(folder, orjson.loads),
        "read whole, json": lambda: first_lines(folder, json.loads),
    }
    found = compare.compare(f"list {COUNT} of {total >> 20} MB", listing, size=total, rounds=rounds)
    long = write(directory, alone, COUNT, LONG)
    found += resuming("resume 10 MB", long, rounds)
    return found + resuming("resume 10 MB, compacted", write(directory, alone, COUNT + 1, LONG, FULL), rounds)


def resuming(case: str, path: Path, rounds: int) -> list[compare.Figure]:
    contenders = {
        "nanocode": lambda: resumed(path),
        "every line, orjson": lambda: parsed(path, orjson.loads),
        "every line, json": lambda: parsed(path, json.loads),
    }
    return compare.compare(case, contenders, size=path.stat().st_size, normal=said, rounds=rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = figures(Path(root), options.rounds)
    print(compare.table(found))
    if options.record:
        print(compare.record("sessions", found, {name: version(name) for name in ("nanocode", "orjson")}))


if __name__ == "__main__":
    main()
