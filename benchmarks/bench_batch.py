"""What a batch costs beside the plainest way to run the same commands, `xargs -P`; and a long one's memory.

Both run one nanocode a task against a scripted model server on loopback, in interleaved rounds, and must have asked
once for each task and kept each answer. `--long N` runs a batch of N tasks, kills it by -9 in the middle, goes on with
the same command, and tells its memory on the way. `--record` keeps the figures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from threading import Lock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import compare
from peer import Peer, Reply, Request, reply, text

NANOCODE = [sys.executable, "-m", "nanocode"]


class Work:
    """Tasks in a folder of their own, and a server that counts who asks for what."""

    def __init__(self, root: Path, count: int, workers: int) -> None:
        self.root, self.count, self.workers = root, count, workers
        self.asked: Counter[str] = Counter()
        self._lock = Lock()
        lines = [json.dumps({"id": f"t{n}", "prompt": f"task-{n}"}) for n in range(count)]
        (root / "t.jsonl").write_text("\n".join(lines) + "\n")

    def script(self, request: Request) -> Reply:
        prompt = str(request.messages[1]["content"])
        with self._lock:
            self.asked[prompt] += 1
        return reply(text(f"answer to {prompt}"))

    def environ(self, url: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "NANOCODE_EXT", "VIRTUAL_ENV") if name in os.environ}
        own = {"HOME": str(self.root), "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "unused", "MODEL": "m"}
        return kept | own | {"LANG": "C.UTF-8"}

    def batch(self) -> list[str]:
        return [*NANOCODE, "batch", "t.jsonl", "--workers", str(self.workers), "--quiet"]

    def answers(self) -> list[str]:
        found = [json.loads(line) for line in (self.root / "t.out/results.jsonl").read_text().splitlines()]
        return sorted(each["text"] for each in found)


def timed(count: int, workers: int, run: Callable[[Work, dict[str, str]], list[str]]) -> float:
    """Seconds a task."""
    with tempfile.TemporaryDirectory() as name:
        work = Work(Path(name), count, workers)
        with Peer(work.script) as peer:
            start = time.perf_counter()
            answers = run(work, work.environ(peer.url))
            spent = time.perf_counter() - start
    assert answers == sorted(f"answer to task-{n}" for n in range(count)), "an answer is missing"
    assert set(work.asked.values()) == {1}, "a task ran more than once"
    return spent / count


def by_batch(work: Work, environ: dict[str, str]) -> list[str]:
    subprocess.run(work.batch(), cwd=work.root, env=environ, check=True, stdout=subprocess.DEVNULL)
    return work.answers()


def by_xargs(*flags: str) -> Callable[[Work, dict[str, str]], list[str]]:
    def run(work: Work, environ: dict[str, str]) -> list[str]:
        (work.root / "o").mkdir()
        command = " ".join([*NANOCODE, "--print", *flags]) + ' "$0" </dev/null > o/"$0" 2>/dev/null'
        prompts = "\n".join(f"task-{n}" for n in range(work.count))
        words = ["xargs", "-P", str(work.workers), "-n", "1", "sh", "-c", command]
        subprocess.run(words, input=prompts, text=True, cwd=work.root, env=environ, check=True)
        texts = [path.read_text() for path in (work.root / "o").iterdir()]
        return sorted(json.loads(each.splitlines()[-1])["text"] if "json" in flags else each.strip() for each in texts)

    return run


CONTENDERS = {
    "nanocode batch": by_batch,
    "xargs -P, --quiet": by_xargs("--quiet"),
    "xargs -P, --mode json": by_xargs("--mode", "json"),
}


def beside_xargs(count: int, workers: int, rounds: int) -> list[compare.Figure]:
    samples: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    names = list(CONTENDERS)
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            samples[name].append(timed(count, workers, CONTENDERS[name]))
    ours = samples[names[0]]
    return [compare.figure(f"{count} tasks, {workers} workers", name, samples[name], ours, None) for name in names]


def memory(pid: int) -> float:
    """Resident megabytes of a process now."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def long(count: int, workers: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Work(Path(name), count, workers)
        kept = work.root / "t.out/results"
        with Peer(work.script) as peer:
            for stop in (count // 2, count):
                start, before = time.perf_counter(), len(list(kept.glob("*.json")))
                process = subprocess.Popen(
                    work.batch(), cwd=work.root, env=work.environ(peer.url), stdout=subprocess.DEVNULL
                )
                mark = before + count // 10
                while process.poll() is None and (done := len(list(kept.glob("*.json")))) < stop:
                    if done >= mark:
                        print(f"{done:6} results, {memory(process.pid):6.1f} MB, {time.perf_counter() - start:6.1f} s")
                        mark += count // 10
                    time.sleep(0.2)
                if stop < count:
                    process.kill()
                    process.wait()
                    print(f"killed by -9 with {len(list(kept.glob('*.json')))} results")
                else:
                    assert process.wait() == 0
        repeated = sum(times - 1 for times in work.asked.values())
        assert work.answers() == sorted(f"answer to task-{n}" for n in range(count))
        assert len(work.asked) == count and repeated <= workers, "only what the kill cut off may run twice"
        print(f"all {count} results are there, each once; {repeated} tasks were cut off by the kill and ran again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--long", type=int, default=0, metavar="N")
    options = parser.parse_args()
    if options.long:
        long(options.long, options.workers)
        return
    found = beside_xargs(options.tasks, options.workers, options.rounds)
    print(compare.table(found))
    if options.record:
        print(compare.record("batch", found, {"nanocode": version("nanocode")}))


if __name__ == "__main__":
    main()
