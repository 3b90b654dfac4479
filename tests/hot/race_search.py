"""Searches one tree in many ways by eight threads, for a race checker to watch; see .ci/races."""

import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from nanocode._ext import search as core

# A literal, several, a set of first bytes, the lanes, what is tried, and what only Python decides.
PATTERNS = ["needle", "needle|words", "[é-λ] w", r"\w+\s+b{2}\s", r"(ab)\1", r"(?<=\d)5$", r"(ab)(?(1)a)"]
WAYS: list[dict[str, Any]] = [{}, {"limit": 7}, {"mode": "count"}, {"mode": "files", "limit": 3}, {"ignore_case": True}]


def grow(top: Path) -> None:
    """Many small files and folders, a folder of several pieces, and a file that all threads share."""
    (top / "flat").mkdir()
    for number in range(600):
        (top / "flat" / f"{number:04}.c").write_text(f"line {number}\nneedle\n" if number % 3 else "x\n")
    for number in range(60):
        folder = top / f"part{number:03}" / "inner"
        folder.mkdir(parents=True)
        (folder / ".ignore").write_text("b.c\n")
        for name in "abc":
            (folder / f"{name}.c").write_text("aa Needle bb abab\né words\n" * 40)
    (top / "large").write_bytes(b"nothing that is looked for is here\n" * (9 << 15) + b"12345\n")


def main() -> int:
    os.sched_getaffinity = lambda _: set(range(8))  # so many threads on any machine
    with tempfile.TemporaryDirectory() as place:
        grow(Path(place))
        for pattern in PATTERNS:
            for way in WAYS:
                answer = core.search(place, pattern, **way)
                if not answer.matches:
                    return 1
            stop = bytearray(1)
            options = {"root": place, "pattern": pattern, "stop": stop}
            threads = [threading.Thread(target=core.search, kwargs=options) for _ in range(2)]
            for thread in threads:
                thread.start()
            stop[0] = 1
            for thread in threads:
                thread.join()
    print(f"{len(PATTERNS) * (len(WAYS) + 2)} searches by eight threads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
