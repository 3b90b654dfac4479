"""Trees for the benchmarks of search and walk, the same each time; knows nothing of who reads them."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

COMMON = ("static", "int", "return", "struct", "if (x)", "{", "}", "value", "0x20", "index", "buffer")
RARE = ("PM_RESUME", "SYS_RESUME", "ERR_SYS", "hello", "λόγος", "abcd_abcd_", "PM_RESUME + 1")
# One file in so many has a rare word.
SELDOM = 20
# A file of a package, and how often its kind comes.
KINDS = {"package.json": 1, "README.md": 1, "index.js": 2, "index.d.ts": 3, "index.js.map": 2, "bundle.min.js": 1}
PACKAGE = sum(KINDS.values())
BLOCK = 16 << 20


def sources(top: Path, files: int) -> Path:
    """A repository like one of a project in C."""
    choose = random.Random(files)
    for number in range(files):
        path = top / f"part{number // 153}" / f"room{number // 17}" / f"name{number}.c"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [" ".join(choose.choices(COMMON, k=8)) for _ in range(choose.randrange(10, 600))]
        if number % SELDOM == 0:
            lines[choose.randrange(len(lines))] = choose.choice(RARE)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (top / ".git").mkdir()
    (top / ".gitignore").write_text("*.o\n/build/\n*7.c\n")
    return top


def packages(top: Path, files: int) -> Path:
    """What `npm install` leaves: many small files, and some of one line that has no end."""
    choose = random.Random(files)
    words = [f"{choose.choice(COMMON[:4])}{number}" for number in range(500)]
    for number, name in enumerate(islice(names(), files)):
        path = top / f"package{number // PACKAGE}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = " ".join(choose.choices(words, k=choose.randrange(20, 600)))
        if number % SELDOM == 0:
            text += " createElement(null) "
        path.write_text(text if ".min." in name or name.endswith(".map") else text.replace("0 ", "0;\n"))
    return top


def names() -> Iterator[str]:
    each = [f"{'lib' * (copy > 0)}/{copy}{name}".lstrip("/") for name, count in KINDS.items() for copy in range(count)]
    while True:
        yield from each


def log(top: Path, megabytes: int) -> Path:
    """A folder of one file with so many MB of text in ASCII, but for a rare line in each block."""
    choose = random.Random(megabytes)
    words = [word for word in COMMON if len(word) != len("these")]
    lines = [" ".join(choose.choices(words, k=choose.randrange(3, 14))) for _ in range(20_000)]
    text = "\n".join(lines) + "\n"
    block = (text * (BLOCK // len(text) + 1)).encode()
    rare = "λόγος PM_RESUME\nthese other words would match\n".encode()
    with open(top / "log", "wb") as file:
        while file.tell() < megabytes << 20:
            file.write(block[: block.rfind(b"\n", 0, BLOCK) + 1])
            file.write(rare)
    return top
