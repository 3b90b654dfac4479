"""What the agent itself costs: start-up, the time between answer and next request, deltas, a large argument, memory.

Every program runs as a process of its own against one scripted model server on loopback, in interleaved rounds; the
server checks that each did the job. Run `python benchmarks/bench_agent.py --peers node_modules/.bin`, with `--record`
to keep the figures; `programs.py` says which peers and how to get them.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import compare
from peer import Gate, Peer, Reply, Request
from programs import FLOOR, OURS, Answer, Bash, Program, Text, Write, peers, versions

STARTS = {
    "nanocode --version": [sys.executable, "-m", "nanocode", "--version"],
    "nanocode --help": [sys.executable, "-m", "nanocode", "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import asyncio, httpx'": [sys.executable, "-c", "import asyncio, httpx"],
}
TURNS, DELTAS = 50, 20_000


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


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of one program at one job: seconds, of CPU too, peak megabytes, milliseconds from answer to request.

    `ratio` is how many times our time it takes, as `compare` has it.
    """

    case: str
    contender: str
    seconds: float
    ratio: float
    cpu_seconds: float
    peak_megabytes: float
    gap_milliseconds: float

    def __str__(self) -> str:
        return (
            f"{self.case:16} {self.contender:34} {self.seconds:8.3f} s {self.ratio:7.2f} {self.cpu_seconds:8.3f} s CPU"
            f" {self.peak_megabytes:7.1f} MB {self.gap_milliseconds:8.2f} ms gap"
        )


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
    null = subprocess.DEVNULL
    start = monotonic()
    process = subprocess.Popen(words, env=environ, cwd=cwd, stdin=null, stdout=null, stderr=null)
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
    """A scripted conversation. `answer(turn)` is what the model says to request number `turn`, the last being text."""

    def __init__(
        self, name: str, turns: int, answer: Callable[[int], Answer], written: int = 0, peers: bool = True
    ) -> None:
        self.name, self._peers, self._turns, self._answer, self._written = name, peers, turns, answer, written

    def measures(self, program: Program) -> bool:
        return (self._peers or program in (OURS, FLOOR)) and (program.write is not None or not self._written)

    def run(self, program: Program, home: str) -> Run:
        asked: list[float] = []
        answered: list[float] = []

        def script(request: Request) -> Reply:
            if not request.body.get("tools"):
                # A peer asks for a title besides.
                return program.reply(Text(("title",)), 0)
            asked.append(monotonic())
            whole = program.reply(self._answer(len(asked)), len(asked))
            return Reply((*whole.parts, Stamp(answered)))

        with Peer(script) as peer:
            variables = environment(home) | program.settle(Path(home), peer.url)
            done = spawn([*program.words, "go"], variables, home)
            written = Path(home, "big.txt")
            assert not self._written or written.stat().st_size == self._written, program.name
        assert len(asked) == self._turns, f"{program.name} asked {len(asked)} times, not {self._turns}"
        gaps = [after - before for before, after in zip(answered, asked[1:], strict=False)]
        return Run(done.wall, done.cpu, done.rss, 1000 * median(gaps) if gaps else 0.0)


def hi(turn: int) -> Answer:
    return Text(("hi",))


def bash_turns(count: int) -> Callable[[int], Answer]:
    return lambda turn: Text(("done",)) if turn > count else Bash(f"echo {turn}")


def deltas(turn: int) -> Answer:
    return Text((" word",) * DELTAS)


def argument(size: int) -> Callable[[int], Answer]:
    return lambda turn: Text(("done",)) if turn == 2 else Write("big.txt", "x" * size, 4)


JOBS = (
    Job("one-shot", 1, hi),
    Job("2 tool turns", 3, bash_turns(2)),
    Job(f"{TURNS} tool turns", TURNS + 1, bash_turns(TURNS)),
    Job(f"{10 * TURNS} tool turns", 10 * TURNS + 1, bash_turns(10 * TURNS), peers=False),
    Job(f"{DELTAS} deltas", 1, deltas),
    # Where each delta parses all that came before it, ten times as much takes a hundred times as long.
    Job("30 kB argument", 2, argument(30_000), 30_000),
    Job("1 MB argument", 2, argument(1 << 20), 1 << 20, peers=False),
)


def starts(rounds: int) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory() as home:
        runs = rounds_of(
            {name: lambda words=words: spawn(words, environment(home), home) for name, words in STARTS.items()}, rounds
        )
    yield from figures("start-up", runs)


def rounds_of(programs: dict[str, Callable[[], Run]], rounds: int) -> dict[str, list[Run]]:
    """The runs of interleaved rounds, after one of each that does not count: some set up their home at the first."""
    for run in programs.values():
        run()
    runs: dict[str, list[Run]] = {name: [] for name in programs}
    names = list(programs)
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            runs[name].append(programs[name]())
    return runs


def figures(case: str, runs: dict[str, list[Run]]) -> Iterator[Measured]:
    ours = [run.wall for run in next(iter(runs.values()))]
    for name, samples in runs.items():
        time = compare.figure(case, name, [run.wall for run in samples], ours, None)
        middles = (round(median(getattr(run, field) for run in samples), 4) for field in ("cpu", "rss", "gap"))
        yield Measured(case, name, round(time.seconds, 4), time.ratio, *middles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", type=Path, metavar="NODE_MODULES", help="where peers are installed")
    parser.add_argument("--case", action="append", help="only jobs whose name has this in it")
    options = parser.parse_args()
    programs = [OURS, FLOOR, *(peers(options.peers) if options.peers else ())]
    found = [] if options.case else list(starts(options.rounds))
    print(*found, sep="\n")
    for job in JOBS:
        if options.case and not any(each in job.name for each in options.case):
            continue
        with ExitStack() as homes:
            calls = {
                each.name: partial(job.run, each, homes.enter_context(tempfile.TemporaryDirectory()))
                for each in programs
                if job.measures(each)
            }
            runs = rounds_of(calls, options.rounds)
        found += (measured := list(figures(job.name, runs)))
        print(*measured, sep="\n", flush=True)
    if options.record:
        known = {name: version(name) for name in ("nanocode", "httpx")}
        print(compare.record("agent", found, known | (versions(options.peers) if options.peers else {})))


if __name__ == "__main__":
    main()
