"""Sets compiled ignore rules and globs against their references on random input: `fuzz_walk.py [SECONDS [SEED]]`."""

import random
import sys
import tempfile
import time
from pathlib import Path

from nanocode._ext import globs as native_globs
from nanocode._ext import ignore as native_ignore
from nanocode.hot import globs, ignore

RULES = rb"a b c * ** ? / / ! # \ [ ] [a [!a] [^b-] []a] [[:alpha:]] [[:x:]] [a-c] [\]] {a} . .. a/ **/ /** \  \/ -"
RULE_ATOMS = [*RULES.split(), b"\n", b"\n", b"\r\n", b"\xff", b"\xc3\xa9", b" ", b"\t", b"\0", b"\xef\xbb\xbf"]
PATH_ATOMS = [b"a", b"b", b"c", b"ab", b"-", b"]", b"[", b"\\", b".", b"\xff", b"\xc3\xa9", b" ", b"*", b"!", b"#"]
GLOBS = r"a b c . - * * ** ? / / **/ { } , [ ] ! ^ [ab] [!a] [^b] [a-c] []a] [[:alpha:]] [[:x:]] \ \* \/ {a,b} {,a}"
GLOB_ATOMS = [*GLOBS.split(), "é", "\udcff", "\U0001f600", " ", "\n", "\0"]


def some(dice: random.Random, atoms: list[bytes], most: int) -> bytes:
    return b"".join(dice.choices(atoms, k=dice.randint(1, most)))


def path(dice: random.Random) -> bytes:
    names = (some(dice, PATH_ATOMS, 3) for _ in range(dice.randint(1, 4)))
    return b"/".join(name for name in names if name not in (b".", b"..")) or b"a"


def rules_agree(dice: random.Random, top: Path) -> None:
    data = some(dice, RULE_ATOMS, 24)
    (top / ".gitignore").write_bytes(data)
    (top / "a/.gitignore").write_bytes(some(dice, RULE_ATOMS, 8))
    for _ in range(12):
        asked, folder = path(dice), dice.random() < 0.5
        answers = [module.ignored(top, asked, folder=folder) for module in (native_ignore, ignore)]
        assert answers[0] == answers[1], (data, (top / "a/.gitignore").read_bytes(), asked, folder, answers)


def globs_agree(dice: random.Random) -> None:
    pattern = "".join(dice.choices(GLOB_ATOMS, k=dice.randint(0, 12)))
    anchored = dice.random() < 0.3
    ours, theirs = (module.Glob(pattern, anchored=anchored) for module in (native_globs, globs))
    for name in ("anchored", "folders_only", "literal", "pattern"):
        assert getattr(ours, name) == getattr(theirs, name), (name, pattern)
    for _ in range(8):
        asked = path(dice)
        assert ours.matches(asked) == theirs.matches(asked), (pattern, asked, anchored)


def main() -> None:
    seconds, seed = float((*sys.argv[1:], "60")[0]), int((*sys.argv[2:], time.time_ns())[0])
    print("seed", seed)
    dice = random.Random(seed)
    until = time.monotonic() + seconds
    rounds = 0
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        (top / ".git").mkdir()
        (top / "a").mkdir()
        while time.monotonic() < until:
            rules_agree(dice, top)
            for _ in range(10):
                globs_agree(dice)
            rounds += 1
    print(f"{rounds * 12:,} paths against rules and {rounds * 80:,} against globs, all the same")


if __name__ == "__main__":
    main()
