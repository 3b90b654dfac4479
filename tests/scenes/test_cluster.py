"""A batch on Dask, a scheduler and workers as processes of their own or a LocalCluster: a worker's death, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Reply, Request, call, reply, text
from program import PATIENCE, Program, alive, finish

pytestmark = pytest.mark.skipif(find_spec("distributed") is None, reason="needs `pip install 'nanocode[dask]'`")


TASKS = 10

Cluster = Callable[[Program, int], AbstractContextManager[tuple[str, list[int]]]]


def prompt(request: Request) -> str:
    return str(request.messages[1]["content"])


def echoing(request: Request) -> Reply:
    return reply(text(f"answer to {prompt(request)}"))


@contextmanager
def started(nanocode: Program, words: list[str], **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of Dask; it is gone afterwards."""
    with open(nanocode.root / "dask.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", *words],
            cwd=nanocode.cwd,
            env=nanocode.environ | environ,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextmanager
def processes(nanocode: Program, workers: int) -> Iterator[tuple[str, list[int]]]:
    """The address of a scheduler, and the process ids of its workers, which have the key; the batch has none."""
    key = nanocode.environ.pop("OPENAI_API_KEY")
    found = nanocode.root / "scheduler.json"
    local = ["--no-dashboard", "--protocol", "tcp", "--interface", "lo"]
    with ExitStack() as stack:
        words = ["-m", "distributed.cli.dask_scheduler", *local, "--port", "0", "--scheduler-file", str(found)]
        stack.enter_context(started(nanocode, words))
        address = str(_told(found)["address"])
        words = ["-m", "distributed.cli.dask_worker", address, *local, "--nthreads", "2", "--no-nanny"]
        words += ["--resources", "seat=2", "--local-directory", str(nanocode.root / "dask")]
        running = [stack.enter_context(started(nanocode, words, OPENAI_API_KEY=key)) for _ in range(workers)]
        yield address, [each.pid for each in running]


LOCAL = """
import json, os, sys
from distributed import LocalCluster
found, workers = sys.argv[1:]
cluster = LocalCluster(
    n_workers=int(workers),
    threads_per_worker=2,
    resources={"seat": 2},
    dashboard_address=None,
    local_directory=found + ".dir",
)
told = {"address": cluster.scheduler_address, "pids": [each.pid for each in cluster.workers.values()]}
with open(found + ".new", "w") as file:
    json.dump(told, file)
os.rename(found + ".new", found)
sys.stdin.read()
"""


@contextmanager
def local(nanocode: Program, workers: int) -> Iterator[tuple[str, list[int]]]:
    """The same of a LocalCluster, which starts anew what dies."""
    key = nanocode.environ.pop("OPENAI_API_KEY")
    found = nanocode.root / "cluster.json"
    with started(nanocode, ["-c", LOCAL, str(found), str(workers)], OPENAI_API_KEY=key):
        told = _told(found)
        yield told["address"], told["pids"]


def _told(found: Path) -> Any:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        # The file is there before its content is.
        with suppress(FileNotFoundError, ValueError):
            return json.loads(found.read_text())
        os.sched_yield()
    raise AssertionError("the scheduler never started")


def written(nanocode: Program, names: list[str]) -> None:
    lines = [f'{{"id": "{name}", "prompt": "{name}"}}\n' for name in names]
    (nanocode.cwd / "t.jsonl").write_text("".join(lines))


@pytest.mark.parametrize("cluster", [processes, local])
def test_a_worker_killed_in_the_middle_loses_no_task_and_doubles_none(nanocode: Program, cluster: Cluster) -> None:
    names = [f"t{number}" for number in range(TASKS)]
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
    assert done.events[-1]["states"] == {"done": TASKS} and seen[held] == 2
    assert len(list((nanocode.cwd / "t.out/results").iterdir())) == TASKS
    assert "sk-test" not in done.out


def _worker_above(workers: list[int], nanocode: Program) -> int:
    """The worker whose child waits for the server: once all others have ended, the only one with a child."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        counts = {each: len(_children(each)) for each in workers}
        results = len(list((nanocode.cwd / "t.out/results").glob("*.json")))
        if results == TASKS - 1:
            return next(pid for pid, count in counts.items() if count)
        os.sched_yield()
    raise AssertionError("the other tasks never ended")


def _children(pid: int) -> list[int]:
    paths = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(each) for path in paths for each in path.read_text().split()]


def test_ctrl_c_ends_the_children_on_the_workers(nanocode: Program) -> None:
    written(nanocode, ["a", "b", "c"])
    hanging = reply(call("bash", {"command": "echo $$ >> pids; sleep 300"}))
    with Peer(lambda request: hanging) as peer, processes(nanocode.at(peer.url), 1) as (address, _):
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
