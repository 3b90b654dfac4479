"""A batch on Dask: a real scheduler and workers as processes of their own, one killed in the middle; Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Reply, Request, call, reply, text
from program import PATIENCE, Program, alive, finish

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="needs `pip install 'nanocode[dask]'`")


def prompt(request: Request) -> str:
    return str(request.messages[1]["content"])


def echoing(request: Request) -> Reply:
    return reply(text(f"answer to {prompt(request)}"))


@contextmanager
def started(nanocode: Program, words: list[str], **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of Dask; it is gone afterwards."""
    with open(nanocode.root / "dask.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "distributed.cli." + words[0], *words[1:]],
            cwd=nanocode.cwd,
            env=nanocode.environ | environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(nanocode: Program, workers: int) -> Iterator[tuple[str, list["subprocess.Popen[bytes]"]]]:
    """The address of a scheduler, and its workers; the workers have the key, the batch that asks has none."""
    key = nanocode.environ.pop("OPENAI_API_KEY")
    found = nanocode.root / "scheduler.json"
    local = ["--no-dashboard", "--protocol", "tcp", "--interface", "lo"]
    with started(nanocode, ["dask_scheduler", *local, "--port", "0", "--scheduler-file", str(found)]):
        address = _address(found)
        words = ["dask_worker", address, *local, "--nthreads", "2", "--no-nanny", "--resources", "seat=2"]
        words += ["--local-directory", str(nanocode.root / "dask")]
        running: list[Any] = [started(nanocode, words, OPENAI_API_KEY=key) for _ in range(workers)]
        processes = [each.__enter__() for each in running]
        try:
            yield address, processes
        finally:
            for each in running:
                each.__exit__(None, None, None)


def _address(found: Path) -> str:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        # The file is there before its content is.
        with suppress(FileNotFoundError, ValueError):
            return str(json.loads(found.read_text())["address"])
        os.sched_yield()
    raise AssertionError("the scheduler never started")


def written(nanocode: Program, names: list[str]) -> None:
    lines = [f'{{"id": "{name}", "prompt": "{name}"}}\n' for name in names]
    (nanocode.cwd / "t.jsonl").write_text("".join(lines))


def test_a_worker_killed_in_the_middle_loses_no_task_and_doubles_none(nanocode: Program) -> None:
    names = [f"t{number}" for number in range(16)]
    written(nanocode, names)
    gate, lock, seen = Gate(), threading.Lock(), Counter[str]()
    (held,) = names[5:6]

    def script(request: Request) -> Reply:
        with lock:
            seen[prompt(request)] += 1
            first = prompt(request) == held and seen[held] == 1
        return replace(echoing(request), held=gate) if first else echoing(request)

    with Peer(script) as peer, cluster(nanocode.at(peer.url), 2) as (address, workers):
        process = nanocode.start("batch", "t.jsonl", "--scheduler", address, "--resources", "seat=1", "--mode", "json")
        gate.wait_until_reached()
        parent = _worker_above(workers, nanocode)
        os.kill(parent, signal.SIGKILL)
        done = finish(process)
        gate.open()
    assert done.code == 0, done.err
    assert sorted(event["id"] for event in done.of("result")) == sorted(names)
    assert done.events[-1]["states"] == {"done": 16} and seen[held] == 2
    assert len(list((nanocode.cwd / "t.out/results").iterdir())) == 16
    assert "sk-test" not in done.out


def _worker_above(workers: list["subprocess.Popen[bytes]"], nanocode: Program) -> int:
    """The worker whose child waits for the server: once all others have ended, the only one with a child."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        counts = {each.pid: len(_children(each.pid)) for each in workers}
        results = len(list((nanocode.cwd / "t.out/results").glob("*.json")))
        if results == 15:
            return next(pid for pid, count in counts.items() if count)
        os.sched_yield()
    raise AssertionError("the other tasks never ended")


def _children(pid: int) -> list[int]:
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(each) for path in paths for each in path.read_text().split()]


def test_ctrl_c_ends_the_children_on_the_workers(nanocode: Program) -> None:
    written(nanocode, ["a", "b", "c"])
    hanging = reply(call("bash", {"command": "echo $$ >> pids; sleep 300"}))
    with Peer(lambda request: hanging) as peer, cluster(nanocode.at(peer.url), 1) as (address, _):
        process = nanocode.start("batch", "t.jsonl", "--scheduler", address)
        until = time.monotonic() + PATIENCE
        path = nanocode.cwd / "pids"
        while (not path.exists() or len(path.read_text().split()) < 2) and time.monotonic() < until:
            os.sched_yield()
        pids = [int(each) for each in path.read_text().split()]
        assert len(pids) == 2 and all(map(alive, pids))
        process.send_signal(signal.SIGINT)
        done = finish(process)
        until = time.monotonic() + PATIENCE
        while any(map(alive, pids)) and time.monotonic() < until:
            os.sched_yield()
        assert not any(map(alive, pids))
    assert done.code == 130 and "3 tasks have no result yet" in done.err


def test_no_cluster_is_a_usage_error(nanocode: Program) -> None:
    written(nanocode, ["a"])
    nanocode.environ["NANOCODE_CONNECT_SECONDS"] = "1"
    done = nanocode.run("batch", "t.jsonl", "--scheduler", "tcp://127.0.0.1:9")
    assert done.code == 2 and "no cluster answers at" in done.err
