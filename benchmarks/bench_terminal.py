"""What the REPL costs: CPU while deltas stream and while nothing happens, the echo of a key, the time to a prompt.

Each program runs in a pseudo-terminal against one paced model server on loopback. What a program prints is read and
checked for the last delta before its figures count. Run `python benchmarks/bench_terminal.py`, with `--record` to
keep the figures.
"""

import argparse
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fcntl import ioctl
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from termios import TIOCSWINSZ
from time import monotonic, sleep

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import compare
from peer import Gate, Peer, Reply, chunk, reply, text

HERE = Path(__file__).parent
NANOCODE = [sys.executable, "-m", "nanocode"]
RATE, GROUP = 2000, 20
PATIENCE = 30
TICK = os.sysconf("SC_CLK_TCK")
LAST = "the-very-last-word"
LETTERS = "αβγδεζηθικλμνξοπρστυφχψωбвгджзилнптфцчшщъыьэюя"
IMPORTS = [sys.executable, "-c", "import prompt_toolkit, httpx; print('❯')"]


class Pace(Gate):
    """Lets the answer go on at the time that the rate says."""

    def __init__(self, start: list[float], after: float) -> None:
        super().__init__()
        self._start, self._after = start, after

    def pass_through(self) -> None:
        if not self._start:
            self._start.append(monotonic())
        sleep(max(0.0, self._start[0] + self._after - monotonic()))


def deltas(count: int) -> Iterator[str]:
    """Prose, a list and code, four characters a delta."""
    page = (
        "The **loop** reads `one` event and hands it on; nothing waits for a screen.\n\n- first, a list item\n"
        "- second, [a link](http://example.org)\n\n```python\ndef turn(text: str) -> int:\n    return 1  # all\n```\n\n"
    )
    whole = page * (count * 4 // len(page) + 1)
    return (whole[4 * n : 4 * n + 4] for n in range(count))


def answer(count: int) -> Reply:
    start: list[float] = []
    parts: list[bytes | Gate] = []
    for number, piece in enumerate(deltas(count)):
        if number % GROUP == 0:
            parts.append(Pace(start, number / RATE))
        parts.append(chunk({"content": piece}))
    return reply(*parts, text(f"\n\n```\nend\n```\n\n{LAST}\n", 1))


@dataclass
class Pane:
    """A program in a pseudo-terminal of 100 columns and 30 rows."""

    words: list[str]
    environ: dict[str, str]
    seen: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> "Pane":
        self._master, slave = pty.openpty()
        ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.born = monotonic()
        self._process = subprocess.Popen(
            self.words, stdin=slave, stdout=slave, stderr=slave, env=self.environ, cwd=self.environ["HOME"],
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def send(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def read(self, seconds: float) -> bytes:
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:
            return b""
        self.seen += data
        return data

    def until(self, holds: Callable[[], bool], seconds: float) -> float:
        """Read until something holds; when it did."""
        end = monotonic() + seconds
        while not holds():
            assert monotonic() < end, f"{self.words} gave up; it shows {bytes(self.seen[-600:])!r}"
            self.read(0.05)
        return monotonic()

    def shows(self, words: str) -> Callable[[], bool]:
        return lambda: words.encode() in self.seen

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


@dataclass(frozen=True, slots=True)
class Stream:
    """One program under the stream: share of a core, of its first and last quarter, and how late it was done.

    `late_seconds` is None when it had not shown the last word `PATIENCE` seconds after the server sent it.
    """

    program: str
    percent: float
    first: float
    last: float
    late_seconds: float | None


def stream(name: str, count: int) -> Stream:
    words = NANOCODE if name == "nanocode" else [sys.executable, str(HERE / "screens.py"), name]
    with Peer(lambda request: answer(count)) as server, home(server) as environ, Pane(words, environ) as pane:
        ready = {"nanocode": "❯", "textual Markdown": "▁"}.get(name)
        pane.until(pane.shows(ready) if ready else lambda: True, 30)
        if name != "nanocode":
            for _ in range(20):
                pane.read(0.1)
        pane.send("go\r")
        pane.until(lambda: bool(server.requests), 30)
        begun, seconds, samples = monotonic(), count / RATE, [pane.cpu()]
        for quarter in range(1, 5):
            while monotonic() < begun + seconds * quarter / 4:
                pane.read(0.1)
            samples.append(pane.cpu())
        screen = LAST if name != "no screen" else ""
        late: float | None = None
        with suppress(AssertionError):
            done = pane.until(lambda: screen.encode() in squeezed(pane.seen[-200_000:]), PATIENCE)
            late = round(done - begun - seconds, 2)
    parts = [100 * (b - a) / (seconds / 4) for a, b in pairwise(samples)]
    return Stream(name, round(sum(parts) / 4, 1), round(parts[0], 1), round(parts[3], 1), late)


def squeezed(data: bytes | bytearray) -> bytes:
    """What is written without its control sequences."""
    return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", bytes(data))


class home:
    """The environment of a program in a folder of its own that talks to `server`."""

    def __init__(self, server: Peer) -> None:
        self._folder = tempfile.TemporaryDirectory()
        kept = {name: os.environ[name] for name in ("PATH", "NANOCODE_EXT") if name in os.environ}
        mine = {"HOME": self._folder.name, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self._environ = kept | mine | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-bench-0123456789"}

    def __enter__(self) -> dict[str, str]:
        return self._environ

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def echo(count: int) -> list[float]:
    """Milliseconds from each key to its first byte on the screen, while the stream runs."""
    with Peer(lambda request: answer(count)) as server, home(server) as environ, Pane(NANOCODE, environ) as pane:
        pane.until(pane.shows("❯"), 30)
        pane.send("go\r")
        pane.until(lambda: bool(server.requests), 30)
        took = []
        for letter in LETTERS:
            sent = monotonic()
            pane.send(letter)
            took.append(1000 * (pane.until(pane.shows(letter), 10) - sent))
            end = monotonic() + 0.05
            while monotonic() < end:
                pane.read(0.01)
    return took


def idle(seconds: float) -> float:
    """Percent of a core that a prompt needs while nothing happens."""
    with Peer(()) as server, home(server) as environ, Pane(NANOCODE, environ) as pane:
        pane.until(pane.shows("❯"), 30)
        end = monotonic() + 1.5
        while monotonic() < end:
            pane.read(0.1)
        before = pane.cpu()
        end = monotonic() + seconds
        while monotonic() < end:
            pane.read(0.5)
        return 100 * (pane.cpu() - before) / seconds


def start(words: list[str], server: Peer) -> float:
    with home(server) as environ, Pane(words, environ) as pane:
        return pane.until(pane.shows("❯"), 30) - pane.born


def starts(rounds: int) -> tuple[float, float, float]:
    """Median seconds to the prompt, of the bare imports, and the median ratio of neighbouring runs."""
    with Peer(()) as server:
        pairs = [(start(NANOCODE, server), start(IMPORTS, server)) for _ in range(rounds + 1)][1:]
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a / b for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deltas", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=7, help="of the start-up")
    parser.add_argument("--only", choices=("stream", "echo", "idle", "start"))
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args()
    figures: dict[str, object] = {}
    wanted = (chosen.only,) if chosen.only else ("start", "idle", "echo", "stream")
    if "start" in wanted:
        prompt, imports, ratio = starts(chosen.rounds)
        figures["start"] = {"prompt": round(prompt, 3), "imports": round(imports, 3), "ratio": round(ratio, 2)}
        print(f"start to prompt {prompt * 1000:.0f} ms; the bare imports {imports * 1000:.0f} ms; ratio {ratio:.2f}")
    if "idle" in wanted:
        figures["idle_percent"] = percent = idle(5)
        print(f"idle: {percent:.1f} % of a core")
    if "echo" in wanted:
        took = sorted(echo(8000))
        figures["echo_ms"] = {"median": round(median(took), 1), "p95": round(took[int(len(took) * 0.95)], 1)}
        print(
            f"key echo while streaming: median {median(took):.1f} ms, 95 % under {took[int(len(took) * 0.95)]:.1f} ms"
        )
    if "stream" in wanted:
        print(f"{chosen.deltas} deltas at {RATE} a second:")
        runs = [stream(name, chosen.deltas) for name in ("nanocode", *SCREENS)]
        figures["stream"] = [asdict(run) for run in runs]
        for run in runs:
            print(
                f"  {run.program:22} {run.percent:6.1f} % of a core (first quarter {run.first:.1f}, "
                f"last {run.last:.1f}), {lateness(run)}"
            )
    if chosen.record:
        print(f"recorded in {recorded(figures)}")


def lateness(run: Stream) -> str:
    if run.late_seconds is None:
        return f"not done {PATIENCE} s after the last delta"
    return f"done {run.late_seconds:.2f} s after the last delta"


SCREENS = ("no screen", "rich Live(Markdown)", "textual Markdown")


def recorded(figures: dict[str, object]) -> Path:
    date = datetime.now(UTC).date().isoformat()
    versions = {name: version(name) for name in ("nanocode", "prompt-toolkit", "rich", "textual")}
    path = compare.RUNS / f"{date}-terminal.json"
    content = {"date": date, "machine": compare.machine(), "versions": versions, "figures": figures}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
