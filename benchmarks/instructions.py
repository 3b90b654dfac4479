"""Instructions of each compiled hot path, counted by callgrind: they hardly depend on the load of the machine.

`python benchmarks/instructions.py` fails where a path executes more than the recorded base allows; `--record` writes
the base anew. One process runs a path twice, another 40 times more; the difference is free of start-up and set-up.
Where Python or the compiler is not that of the base, only a gross change fails: they write other instructions.
"""

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

BASE = Path(__file__).parent / "runs" / "instructions.json"
FEW, MORE = 2, 40
TOLERANCE, ABROAD = 0.03, 0.35
WORDS = [
    "the",
    "walker",
    "reads",
    "each",
    "folder",
    "once,",
    "größer",
    "than",
    "木",
    "and",
    "returns",
    "what",
    "it",
    "holds",
]


def tree(top: Path) -> None:
    """A repository of 150 files, a tenth of them ignored."""
    (top / ".git").mkdir()
    (top / ".gitignore").write_text("*.o\n/build/\n*7.c\n")
    for number in range(150):
        path = top / f"room{number // 15}" / f"name{number}.c"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "".join(f"{WORDS[(number + line) % len(WORDS)]} {line} needle_{line % 50}\n" for line in range(99))
        )


def sse(native: Any, top: Path) -> Callable[[], object]:
    event = b'data: {"choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
    stream = event * 400
    reads = [stream[at : at + 1000] for at in range(0, len(stream), 1000)]

    def run() -> None:
        feed = native.SseDecoder().feed
        for read in reads:
            feed(read)

    return run


def deltas(native: Any, top: Path) -> Callable[[], object]:
    bodies = [{"choices": [{"index": 0, "delta": {"content": f" {word}"}, "finish_reason": None}]} for word in WORDS]
    # The first half are alike but for their text; the others are each padded in another way, as OpenAI's are.
    padded = [body | {"obfuscation": "x" * place} for place, body in enumerate(bodies)]
    frames = [("message", json.dumps(body).encode()) for body in (*(15 * bodies), *(15 * padded))]
    return lambda: native.fuse(frames)


def tokens(native: Any, top: Path) -> Callable[[], object]:
    text = " ".join(WORDS) * 200
    return lambda: native.estimate(text)


def edits(native: Any, top: Path) -> Callable[[], object]:
    data = "".join(f"line {number} of the file\n" for number in range(3000)).encode()
    changes = [
        (f"line {number} of the file\nline", f"line {number} of this file\nline") for number in (500, 1500, 2500)
    ]
    return lambda: native.diff(data, native.plan(data, changes), "file")


def nearest(native: Any, top: Path) -> Callable[[], object]:
    data = "".join(f"    value_{number % 700} = call({number}, other)\n" for number in range(1500)).encode()
    asked = b"    value_8 = call(708, others)\n    value_9 = cal(709, other)\n"
    return lambda: native.nearest(data, asked)


def globs(native: Any, top: Path) -> Callable[[], object]:
    paths = [f"src/part{number}/name{number}.test.ts".encode() for number in range(300)]
    glob = native.Glob("src/**/{a,n*e[0-9]*}.test.{ts,js}")
    return lambda: [glob.matches(path) for path in paths]


def walk(native: Any, top: Path) -> Callable[[], object]:
    return lambda: native.walk(top)


def search(native: Any, top: Path) -> Callable[[], object]:
    return lambda: native.search(top, r"needle_(7|48)\b", ignore_case=True)


PATHS: dict[str, tuple[str, Callable[[Any, Path], Callable[[], object]]]] = {
    "sse": ("sse", sse),
    "deltas": ("deltas", deltas),
    "tokens": ("tokens", tokens),
    "edits": ("edits", edits),
    "nearest": ("edits", nearest),
    "globs": ("globs", globs),
    "walk": ("walk", walk),
    "search": ("search", search),
}


def repeat(name: str, times: int, top: Path) -> None:
    """What runs below callgrind."""
    # When it collects depends on all that was made before.
    gc.disable()
    module, prepare = PATHS[name]
    run = prepare(import_module(f"nanocode._ext.{module}"), top)
    for _ in range(times):
        run()


def repeating(name: str, times: int, top: Path) -> list[str]:
    return [sys.executable, __file__, "--repeat", name, str(times), str(top)]


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc"}


def counted(name: str, times: int, top: Path) -> int:
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    words = [*valgrind, *repeating(name, times, top)]
    said = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True).stderr
    found = re.search(r"Collected : (\d+)", said)
    assert found, said
    return int(found[1])


def builder() -> str:
    """Python, and the compiler that its twins carry the name of."""
    twin = import_module("nanocode._ext.sse").__file__
    comment = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(str(twin)).read_bytes())
    return (
        f"Python {sys.version_info[0]}.{sys.version_info[1]}, {comment[0].decode() if comment else 'unknown compiler'}"
    )


def measured(names: list[str]) -> dict[str, int]:
    """Instructions of one run of each path."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        top = Path(folder)
        tree(top)
        for name in names:
            # Where Python writes its compiled modules first, it would be counted.
            subprocess.run(repeating(name, 1, top), env=environment(), check=True)
        few, many = (list(pool.map(lambda name, n=n: counted(name, n, top), names)) for n in (FEW, FEW + MORE))
        return {name: (after - before) // MORE for name, before, after in zip(names, few, many, strict=True)}


def judged(found: dict[str, int], base: dict[str, Any]) -> list[str]:
    """The paths that execute more than the base allows; a line is printed for each path."""
    tolerance = TOLERANCE if base["builder"] == builder() else ABROAD
    print(f"{builder()}; base of {base['builder']}; {tolerance:.0%} more is allowed")
    slower = []
    for name, count in found.items():
        change = count / base["instructions"][name] - 1
        print(f"{name:8} {count:>12,} instructions a run {change:+8.2%}")
        slower += [name] if change > tolerance else []
    return slower


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help=f"some of: {' '.join(PATHS)}")
    parser.add_argument("--record", action="store_true", help="write the base anew")
    parser.add_argument("--repeat", nargs=3, metavar=("PATH", "TIMES", "TREE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeat:
        name, times, top = options.repeat
        repeat(name, int(times), Path(top))
        return 0
    if not shutil.which("valgrind"):
        print("valgrind is not installed: no instructions counted")
        return 0
    found = measured(options.paths or list(PATHS))
    if options.record:
        BASE.write_text(json.dumps({"builder": builder(), "instructions": found}, indent=1) + "\n", encoding="utf-8")
        print(BASE.read_text(encoding="utf-8"), end="")
        return 0
    if slower := judged(found, json.loads(BASE.read_text(encoding="utf-8"))):
        print(f"slower than the base allows: {', '.join(slower)}; when that is meant, run with --record")
    return int(bool(slower))


if __name__ == "__main__":
    sys.exit(main())
