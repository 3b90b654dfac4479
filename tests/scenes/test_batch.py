"""Batches through the real program: each task once, resumed after kill -9, retried, cut off, sharded, in worktrees."""

import json
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from peer import Gate, Peer, Reply, Request, call, error, reply, text, usage
from program import PATIENCE, Program, alive, finish


def prompt(request: Request) -> str:
    return str(request.messages[1]["content"])


def tasks(nanocode: Program, *prompts: Any) -> None:
    lines = [each if isinstance(each, dict) else {"id": each, "prompt": each} for each in prompts]
    (nanocode.cwd / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def results(nanocode: Program, name: str = "t.out/results.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (nanocode.cwd / name).read_text().splitlines()]


def echoing(request: Request) -> Reply:
    return reply(text(f"answer to {prompt(request)}"))


def test_every_task_is_done_once_and_a_second_run_does_nothing(nanocode: Program) -> None:
    names = [f"task {number}" for number in range(8)]
    tasks(nanocode, *names)
    with Peer(echoing) as peer:
        done = nanocode.at(peer.url).run("batch", "t.jsonl", "--workers", "3")
        again = nanocode.run("batch", "t.jsonl", "--mode", "json")
    assert (done.code, again.code) == (0, 0)
    assert Counter(map(prompt, peer.requests)) == Counter(names)
    assert [(each["id"], each["text"]) for each in results(nanocode)] == [(n, f"answer to {n}") for n in names]
    assert "8 (8 run now, 0 before)" in done.out and "800 in" in done.out and done.err == ""
    summary = again.events[-1]
    assert len(again.events) == 1 and (summary["ran"], summary["skipped"], summary["states"]) == (0, 8, {"done": 8})
    assert json.loads((nanocode.cwd / "t.out/summary.json").read_text()) == summary
    assert len(list((nanocode.cwd / "t.out/results").iterdir())) == 8


def test_turns_are_counted_also_where_the_server_tells_no_usage(nanocode: Program) -> None:
    tasks(nanocode, "a")
    whole = [reply(call("bash", {"command": "true"})), reply(text("done"))]
    silent = [replace(each, parts=tuple(part for part in each.parts if part != usage())) for each in whole]
    with Peer(silent) as peer:
        nanocode.at(peer.url).run("batch", "t.jsonl")
    assert [(each["state"], each["turns"]) for each in results(nanocode)] == [("done", 2)]


def test_a_changed_task_is_run_again_and_others_are_not(nanocode: Program) -> None:
    with Peer(echoing) as peer:
        tasks(nanocode, "a", "b")
        nanocode.at(peer.url).run("batch", "t.jsonl")
        tasks(nanocode, "a", {"id": "b", "prompt": "b changed"})
        done = nanocode.run("batch", "t.jsonl", "--mode", "json")
    assert [event["id"] for event in done.of("result")] == ["b"]
    assert [each["text"] for each in results(nanocode)] == ["answer to a", "answer to b changed"]


def test_what_a_task_says_reaches_its_child(nanocode: Program) -> None:
    (nanocode.cwd / "sub").mkdir()
    tasks(nanocode, {"prompt": "p", "cwd": "sub", "model": "m", "tools": ["read", "nanocode"], "system": "Be brief."})
    with Peer(echoing) as peer:
        done = nanocode.at(peer.url).run("batch", "t.jsonl", "--max-turns", "5")
        later = nanocode.run("--continue", "--mode", "json", "later")
    assert done.code == 0
    body = peer.requests[0].body
    assert body["model"] == "m" and "Be brief." in body["messages"][0]["content"]
    assert str(nanocode.cwd / "sub") in body["messages"][0]["content"]
    assert [each["function"]["name"] for each in body["tools"]] == ["read", "nanocode"]
    assert "there is no earlier session" in later.of("notice")[0]["text"]


def test_kill_9_in_the_middle_and_a_second_run_finishes_the_rest(nanocode: Program) -> None:
    names = [f"t{number}" for number in range(8)]
    tasks(nanocode, *names)
    gate, lock, seen = Gate(), threading.Lock(), Counter[str]()

    def script(request: Request) -> Reply:
        with lock:
            seen[prompt(request)] += 1
            place = sum(seen.values())
        return replace(echoing(request), held=gate) if place in (4, 5) else echoing(request)

    with Peer(script) as peer:
        process = nanocode.at(peer.url).start("batch", "t.jsonl", "--workers", "2")
        gate.wait_until_reached()
        until = time.monotonic() + PATIENCE
        while len(list((nanocode.cwd / "t.out/results").glob("*.json"))) < 3 and time.monotonic() < until:
            time.sleep(0)
        process.kill()
        finish(process)
        kept = {path.stem for path in (nanocode.cwd / "t.out/results").glob("*.json")}
        gate.open()
        done = nanocode.run("batch", "t.jsonl", "--mode", "json")
    assert 3 <= len(kept) < 8 and done.code == 0
    assert {event["id"] for event in done.of("result")} == set(names) - kept
    assert [each["id"] for each in results(nanocode)] == names
    assert all(seen[name] == 1 for name in kept)


def test_kill_9_of_a_batch_leaves_no_child_and_no_command(nanocode: Program) -> None:
    tasks(nanocode, "a", "b")
    with Peer(lambda request: reply(call("bash", {"command": "echo $$ $PPID >> pids; sleep 300"}))) as peer:
        process = nanocode.at(peer.url).start("batch", "t.jsonl", "--workers", "2")
        path, until = nanocode.cwd / "pids", time.monotonic() + PATIENCE
        while (not path.exists() or len(path.read_text().split()) < 4) and time.monotonic() < until:
            time.sleep(0)
        pids = [int(each) for each in path.read_text().split()]
        assert len(pids) == 4 and all(map(alive, pids))
        process.kill()
        finish(process)
        until = time.monotonic() + 2
        while any(map(alive, pids)) and time.monotonic() < until:
            time.sleep(0)
        assert not any(map(alive, pids))


def test_only_failures_in_transit_are_tried_again_each_in_a_fresh_folder(nanocode: Program) -> None:
    tasks(nanocode, "busy", "refused", "killed", "hopeless")
    nanocode.environ["NANOCODE_TRIES"] = "1"
    seen = Counter[str]()
    lock = threading.Lock()

    def script(request: Request) -> Reply:
        name = prompt(request)
        with lock:
            seen[name] += 1
        if name == "refused":
            return error(401, "no such key")
        if name == "hopeless" or (name == "busy" and seen[name] < 2):
            return error(503, "busy")
        if name == "killed" and seen[name] == 1:
            return reply(call("bash", {"command": "kill -9 $PPID; sleep 300"}))
        return echoing(request)

    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("batch", "t.jsonl", "--tries", "2")
        first = {each["id"]: each for each in results(nanocode)}
        again = nanocode.run("batch", "t.jsonl", "--mode", "json", "--tries", "1")
        third = nanocode.run("batch", "t.jsonl", "--mode", "json", "--tries", "1", "--retry-failed")
    assert done.code == 1
    assert {id: (each["state"], each["tries"]) for id, each in first.items()} == {
        "busy": ("done", 2),
        "refused": ("failed", 1),
        "killed": ("done", 2),
        "hopeless": ("failed", 2),
    }
    assert "no such key" in first["refused"]["error"] and "refused: failed" in done.out
    assert [path.name for path in sorted((nanocode.cwd / "t.out/attempts/busy").iterdir())] == ["1", "2"]
    assert [event["id"] for event in again.of("result")] == ["hopeless"], "what the next run may cure"
    assert sorted(event["id"] for event in third.of("result")) == ["hopeless", "refused"]


def test_a_batch_that_only_the_server_failed_ends_with_75(nanocode: Program) -> None:
    tasks(nanocode, "a")
    nanocode.environ["NANOCODE_TRIES"] = "1"
    with Peer(lambda request: error(503, "busy")) as peer:
        assert nanocode.at(peer.url).run("batch", "t.jsonl").code == 75
        assert len(peer.requests) == 3, "so often where nothing is said of it"


def test_a_task_that_takes_too_long_is_ended_and_not_tried_again(nanocode: Program) -> None:
    tasks(nanocode, {"id": "slow", "prompt": "slow", "timeout": 2}, "quick")

    def script(request: Request) -> Reply:
        slow = reply(call("bash", {"command": "echo $$ > pid; sleep 300"}))
        return slow if prompt(request) == "slow" else echoing(request)

    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("batch", "t.jsonl", "--timeout", "50")
    slow, quick = results(nanocode)
    assert done.code == 1 and (slow["state"], slow["tries"], quick["state"]) == ("timeout", 1, "done")
    assert not alive(int((nanocode.cwd / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_the_same_command_goes_on(nanocode: Program, number: int) -> None:
    tasks(nanocode, "a", "held", "c", "d")
    gate = Gate()

    def script(request: Request) -> Reply:
        return replace(echoing(request), held=gate) if prompt(request) == "held" else echoing(request)

    with Peer(script) as peer:
        process = nanocode.at(peer.url).start("batch", "t.jsonl", "--workers", "1")
        gate.wait_until_reached()
        process.send_signal(number)
        done = finish(process)
        gate.open()
        again = nanocode.run("batch", "t.jsonl", "--mode", "json")
    assert done.code == 128 + number and "3 tasks have no result yet" in done.err and "Traceback" not in done.err
    assert again.code == 0 and sorted(event["id"] for event in again.of("result")) == ["c", "d", "held"]


def test_two_batches_do_not_share_a_folder(nanocode: Program) -> None:
    tasks(nanocode, "held")
    gate = Gate()
    with Peer(lambda request: replace(echoing(request), held=gate)) as peer:
        process = nanocode.at(peer.url).start("batch", "t.jsonl")
        gate.wait_until_reached()
        second = nanocode.run("batch", "t.jsonl")
        gate.open()
        assert finish(process).code == 0
    assert second.code == 2 and "another batch is at work" in second.err


def test_shards_of_one_file_cover_every_task_once(nanocode: Program) -> None:
    names = [f"t{number}" for number in range(7)]
    tasks(nanocode, *names)
    with Peer(echoing) as peer:
        nanocode.at(peer.url)
        for shard in ("1/3", "2/3"):
            assert nanocode.run("batch", "t.jsonl", "--shard", shard).code == 0
        array = {"SLURM_ARRAY_TASK_ID": "12", "SLURM_ARRAY_TASK_MIN": "10", "SLURM_ARRAY_TASK_COUNT": "3"}
        nanocode.environ |= array
        last = nanocode.run("batch", "t.jsonl")
    assert last.code == 0 and "shard 3 of 3" in last.err
    assert Counter(map(prompt, peer.requests)) == Counter(names)
    found = [each["id"] for n in (1, 2, 3) for each in results(nanocode, f"t.out/results-{n}-of-3.jsonl")]
    assert sorted(found) == names


def test_a_task_for_each_file_of_a_glob(nanocode: Program) -> None:
    (nanocode.cwd / "src").mkdir()
    for name in ("a", "b"):
        (nanocode.cwd / f"src/{name}.py").write_text("")
    with Peer(echoing) as peer:
        done = nanocode.at(peer.url).run("batch", "--prompt", "review {path}", "--each", "src/**/*.py", "--out", "o")
    assert done.code == 0
    assert [(each["id"], each["text"]) for each in results(nanocode, "o/results.jsonl")] == [
        ("src/a.py", "answer to review src/a.py"),
        ("src/b.py", "answer to review src/b.py"),
    ]


def git(folder: Path, *words: str) -> str:
    about = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *about, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_worktree_keeps_tasks_apart_and_their_changes_as_patches(nanocode: Program) -> None:
    (nanocode.cwd / "lib").mkdir()
    (nanocode.cwd / "lib/a.txt").write_text("old\n")
    git(nanocode.cwd, "init", "-q")
    git(nanocode.cwd, "add", ".")
    git(nanocode.cwd, "commit", "-qm", "start")
    tasks(nanocode, *({"id": name, "prompt": name, "cwd": "lib"} for name in ("one", "two")))

    def script(request: Request) -> Reply:
        if request.messages[-1]["role"] == "tool":
            return echoing(request)
        return reply(call("bash", {"command": f"echo {prompt(request)} > a.txt; echo new > b.txt"}))

    with Peer(script) as peer:
        done = nanocode.at(peer.url).run("batch", "t.jsonl", "--worktree")
    assert done.code == 0
    assert (nanocode.cwd / "lib/a.txt").read_text() == "old\n"
    assert len(git(nanocode.cwd, "worktree", "list").splitlines()) == 1
    for each in results(nanocode):
        patch = Path(each["attempt"], "changes.patch").read_text()
        assert f"+{each['id']}\n" in patch and "lib/b.txt" in patch
        git(nanocode.cwd, "apply", "--check", f"{each['attempt']}/changes.patch")


def test_worktrees_that_kill_9_left_are_cleared_away_and_what_is_not_committed_is_said(nanocode: Program) -> None:
    (nanocode.cwd / "a.txt").write_text("old\n")
    git(nanocode.cwd, "init", "-q")
    git(nanocode.cwd, "add", ".")
    git(nanocode.cwd, "commit", "-qm", "start")
    tasks(nanocode, "one")
    gate = Gate()
    with Peer(lambda request: replace(echoing(request), held=gate)) as peer:
        process = nanocode.at(peer.url).start("batch", "t.jsonl", "--worktree")
        gate.wait_until_reached()
        process.kill()
        assert "worktrees hold" not in finish(process).err
        assert len(git(nanocode.cwd, "worktree", "list").splitlines()) == 2
        gate.open()
        (nanocode.cwd / "a.txt").write_text("changed by hand\n")
        done = nanocode.run("batch", "t.jsonl", "--worktree")
    assert done.code == 0 and done.err.count("worktrees hold the last commit") == 1
    assert len(git(nanocode.cwd, "worktree", "list").splitlines()) == 1
    assert not list(nanocode.cwd.glob("t.out/attempts/*/*/worktree"))


def test_a_file_of_tasks_as_windows_writes_it(nanocode: Program) -> None:
    (nanocode.cwd / "t.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "one"}\r\n{"prompt": "two"}\r\n')
    with Peer(echoing) as peer:
        assert nanocode.at(peer.url).run("batch", "t.jsonl").code == 0
    assert [each["text"] for each in results(nanocode)] == ["answer to one", "answer to two"]


def test_a_full_disk_stops_a_batch_in_words_and_the_same_command_goes_on(nanocode: Program) -> None:
    names = [f"t{number}" for number in range(4)]
    tasks(nanocode, *names)
    with Peer(echoing) as peer:
        assert nanocode.at(peer.url).run("batch", "t.jsonl").code == 0
        # A file of four results is too large, one of a result is not.
        size = (nanocode.cwd / "t.out/results.jsonl").stat().st_size
        (nanocode.cwd / "t.out/results.jsonl").unlink()
        nanocode.before = ["sh", "-c", f'ulimit -f {(size - 1) // 512}; exec "$@"', "sh"]
        full = nanocode.run("batch", "t.jsonl")
        nanocode.before = []
        assert full.code == 1 and "cannot be kept" in full.err and "hint: make room" in full.err
        assert nanocode.run("batch", "t.jsonl").code == 0
    assert [each["id"] for each in results(nanocode)] == names and len(peer.requests) == 4


WRONG = {
    "no tasks": (["batch"], "one file of tasks"),
    "a file that is not there": (["batch", "no.jsonl"], "cannot be read"),
    "workers": (["batch", "t.jsonl", "--workers", "0"], "`--workers` must be a positive number"),
    "a flag without the command": (["--workers", "3", "hi"], "belongs to `nanocode batch`"),
    "a shard": (["batch", "t.jsonl", "--shard", "5/3"], "no part of a whole"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_started_says_so(nanocode: Program, case: str) -> None:
    tasks(nanocode, "a")
    words, said = WRONG[case]
    done = nanocode.run(*words)
    assert done.code == 2 and said in done.err and "hint: " in done.err
