"""What the agent itself costs: start-up, the time between answer and next request, deltas, a large argument, memory.

Every program runs as a process of its own against one scripted model server on loopback, in interleaved rounds; the
server checks that each did the job. Run `python benchmarks/bench_agent.py`, with `--record` to keep the figures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import compare
from peer import Gate, Peer, Reply, Request, call, chunk, reply, text

FLOOR = [sys.executable, str(Path(__file__).parent / "floor.py")]
PROGRAMS = {
    "nanocode": [sys.executable, "-m", "nanocode", "--print", "--quiet"],
    "bare asyncio client": FLOOR,
}
STARTS = {
    "nanocode --version": [sys.executable, "-m", "nanocode", "--version"],
    "nanocode --help": [sys.executable, "-m", "nanocode", "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import asyncio, httpx'": [sys.executable, "-c", "import asyncio, httpx"],
}
TURNS, DELTAS, ARGUMENT = 50, 20_000, 1 << 20


class Stamp(Gate):
    """Notes when the server has written its answer up to here."""

    def __init__(self, times: list[float]) -> None:
        super().__init__()
        self._times = times

    def pass_through(self) -> None:
        self._times.append(monotonic())


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program: seconds, seconds of CPU, peak megabytes, median milliseconds from answer to request."""

    wall: float
    cpu: float
    rss: float
    gap: float = 0.0


class Peak:
    """Peak memory of a running process, looked at 100 times a second; `ru_maxrss` begins with that of the parent."""

    def __init__(self, pid: int) -> None:
        self._path, self._kilobytes, self._ended = Path(f"/proc/{pid}/status"), 0, Event()
        self._thread = Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            try:
                found = re.search(r"VmHWM:\s+(\d+)", self._path.read_text())
            except OSError:
                return
            self._kilobytes = int(found[1]) if found else self._kilobytes

    def megabytes(self) -> float:
        self._ended.set()
        self._thread.join()
        return self._kilobytes / 1024


def spawn(words: list[str], environ: dict[str, str], cwd: str) -> Run:
    start = monotonic()
    process = subprocess.Popen(words, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peak = Peak(process.pid)
    _, status, used = os.wait4(process.pid, 0)
    wall = monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return Run(wall, used.ru_utime + used.ru_stime, peak.megabytes())


def environment(home: str, url: str = "http://127.0.0.1:9/v1") -> dict[str, str]:
    kept = {"NANOCODE_EXT": "require"} | {n: os.environ[n] for n in ("PATH", "NANOCODE_EXT") if n in os.environ}
    return kept | {"HOME": home, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "unused", "MODEL": "m", "LANG": "C.UTF-8"}


class Job:
    """A scripted conversation. `answers(turn)` are the parts of the reply to request number `turn`."""

    def __init__(self, name: str, turns: int, answers: Callable[[int], list[bytes]]) -> None:
        self.name, self._turns, self._answers = name, turns, answers

    def run(self, words: list[str]) -> Run:
        asked: list[float] = []
        answered: list[float] = []

        def script(request: Request) -> Reply:
            asked.append(monotonic())
            whole = reply(self._answers(len(asked)))
            return Reply((*whole.parts, Stamp(answered)))

        with tempfile.TemporaryDirectory() as home, Peer(script) as peer:
            done = spawn([*words, "go"], environment(home, peer.url), home)
        assert len(asked) == self._turns, f"{words} asked {len(asked)} times, not {self._turns}"
        gaps = [after - before for before, after in zip(answered, asked[1:], strict=False)]
        return Run(done.wall, done.cpu, done.rss, 1000 * median(gaps) if gaps else 0.0)


def hi(turn: int) -> list[bytes]:
    return text("hi", 1)


def bash_turns(count: int) -> Callable[[int], list[bytes]]:
    return lambda turn: text("done") if turn > count else call("bash", {"command": f"echo {turn}"}, id=f"c{turn}")


def deltas(turn: int) -> list[bytes]:
    return [chunk({"content": " word"}) for _ in range(DELTAS)]


def argument(turn: int) -> list[bytes]:
    if turn == 2:
        return text("done")
    written = json.dumps({"path": "big.txt", "content": "x" * ARGUMENT})
    pieces = [{"index": 0, "function": {"arguments": written[at : at + 4]}} for at in range(0, len(written), 4)]
    # A read of a fast connection holds many events; one write per event would measure the server.
    events = [chunk({"tool_calls": [piece]}) for piece in pieces]
    start = {"index": 0, "id": "w", "type": "function", "function": {"name": "write", "arguments": ""}}
    batches = [b"".join(events[at : at + 64]) for at in range(0, len(events), 64)]
    return [chunk({"tool_calls": [start]}), *batches]


JOBS = (
    Job("one-shot", 1, hi),
    Job("2 tool turns", 3, bash_turns(2)),
    Job(f"{TURNS} tool turns", TURNS + 1, bash_turns(TURNS)),
    Job(f"{DELTAS} deltas", 1, deltas),
    Job("1 MB argument", 2, argument),
)


def starts(rounds: int) -> Iterator[compare.Figure]:
    with tempfile.TemporaryDirectory() as home:
        runs = rounds_of(
            {name: lambda words=words: spawn(words, environment(home), home) for name, words in STARTS.items()}, rounds
        )
    yield from figures("start-up", runs)


def rounds_of(programs: dict[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    names = list(programs)
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            runs[name].append(programs[name]())
    return runs


def figures(case: str, runs: dict[str, list[Run]]) -> Iterator[compare.Figure]:
    ours = [run.wall for run in next(iter(runs.values()))]
    for name, samples in runs.items():
        yield compare.figure(case, name, [run.wall for run in samples], ours, None)


def line(case: str, name: str, samples: list[Run]) -> str:
    wall, cpu, rss, gap = (median(getattr(run, field) for run in samples) for field in ("wall", "cpu", "rss", "gap"))
    return f"{case:16} {name:34} {wall:8.3f} s {cpu:8.3f} s CPU {rss:7.1f} MB {gap:7.2f} ms gap"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    found = list(starts(options.rounds))
    print(compare.table(found))
    for job in JOBS:
        programs = {name: lambda words=words, job=job: job.run(words) for name, words in PROGRAMS.items()}
        runs = rounds_of(programs, options.rounds)
        found += figures(job.name, runs)
        print(*(line(job.name, name, samples) for name, samples in runs.items()), sep="\n")
    if options.record:
        print(compare.record("agent", found, {"nanocode": version("nanocode"), "httpx": version("httpx")}))


if __name__ == "__main__":
    main()
