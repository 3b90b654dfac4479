"""Fits the pair table of `nanocode.hot.tokens` to an exact tokeniser, and says how far off it is on unseen files.

    python benchmarks/fit_tokens.py CORPUS RANKS [--write]
    python benchmarks/fit_tokens.py CORPUS RANKS --shipped [--record]

CORPUS is the folder that `corpora.py` describes, RANKS that of `exact.py`. Of each kind every other file is
fitted to, and the rest is the test; `--shipped` fits nothing and tests the package's own table. Needs numpy.
"""

import argparse
import zlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import compare
import numpy as np
import tiktoken
from corpora import KINDS, texts
from exact import vocabulary

from nanocode.hot import tokens

# What a pair is worth that no text showed.
UNSEEN = 0.5
STEPS, STEP, HUBER = 300, 0.01, 0.02
# How strongly a pair is held to the share of it that really ends a token, against what makes whole texts come out
# right. At 10, Finnish and Hungarian are 5 % off; at 0, pairs that are rare in the corpus mean nothing elsewhere.
PULL = 0.1


class Data(NamedTuple):
    """Texts as the rows of a sparse matrix of pair counts, with the exact `tokens` and the `kind` of each row.

    `seen` and `ended` are by pair: how often it comes and how often a token ends in it, each kind weighing the same.
    """

    row: np.ndarray
    pair: np.ndarray
    count: np.ndarray
    tokens: np.ndarray
    kind: np.ndarray
    seen: np.ndarray
    ended: np.ndarray

    def estimates(self, table: np.ndarray) -> np.ndarray:
        return 1 + np.bincount(self.row, self.count * table[self.pair], len(self.tokens))

    def errors(self, table: np.ndarray) -> np.ndarray:
        return self.estimates(table) / self.tokens - 1


def measured(root: Path, exact: tiktoken.Encoding, odd: bool) -> Data:
    rows, pairs, counts, totals, kinds = [], [], [], [], []
    seen, ended = np.zeros(1 << 16), np.zeros(1 << 16)
    for number, name in enumerate(KINDS):
        found = texts(root, name, odd)
        for text in found:
            marked = np.frombuffer(tokens.symbols(text.encode()), np.uint8).astype(np.int64)
            pair = marked[:-1] * 256 + marked[1:]
            pieces = exact.decode_tokens_bytes(exact.encode_ordinary(text))
            ends = np.cumsum([len(piece) for piece in pieces])[:-1] - 1
            which, count = np.unique(pair, return_counts=True)
            np.add.at(seen, which, count / len(found))
            np.add.at(ended, pair[ends], 1 / len(found))
            rows.append(np.full(len(which), len(rows)))
            pairs.append(which)
            counts.append(count)
            totals.append(len(pieces))
            kinds.append(number)
    joined = [np.concatenate(each) for each in (rows, pairs, counts)]
    return Data(*joined, np.array(totals), np.array(kinds), seen, ended)


def fitted(data: Data) -> np.ndarray:
    """The table that makes the relative errors of the texts small (Huber loss, Adam), every kind weighing the same."""
    start = np.where(data.seen > 0, data.ended / np.maximum(data.seen, 1e-12), UNSEEN)
    weight = 1 / np.bincount(data.kind)[data.kind] / len(KINDS)
    share = data.seen / data.seen.sum()
    table, mean, square = start.copy(), np.zeros(1 << 16), np.zeros(1 << 16)
    for step in range(STEPS):
        slope = np.clip(data.errors(table) / HUBER, -1, 1) * weight / data.tokens
        gradient = np.bincount(data.pair, data.count * slope[data.row], 1 << 16) + PULL * share * (table - start)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        table = np.clip(table - STEP * (1 - step / STEPS) * mean / (np.sqrt(square) + 1e-7), 0, 1)
    return table


@dataclass(frozen=True, slots=True)
class Error:
    """How far off the estimates of one kind's texts are, in percent: mean, worst, mean of both signs."""

    case: str
    group: str
    mean: float
    worst: float
    bias: float
    texts: int


def report(data: Data, table: np.ndarray) -> list[Error]:
    errors = 100 * data.errors(table)
    found = []
    print("mean and worst error in percent, and the mean of both signs, over texts of 10 KB:")
    for number, (name, kind) in enumerate(KINDS.items()):
        mine = errors[data.kind == number]
        if len(mine) == 0:
            raise SystemExit(f"the corpus has no text of the kind `{name}`: {' '.join(kind.globs)}")
        mean, worst, bias = (round(float(each), 2) for each in (abs(mine).mean(), abs(mine).max(), mine.mean()))
        found.append(Error(name, kind.group, mean, worst, bias, len(mine)))
        print(f"  {name:16} {mean:5.1f} {worst:6.1f} {bias:+6.1f}  n={len(mine)}")
    for group in dict.fromkeys(each.group for each in found):
        print(f"{group:18} {np.mean([each.mean for each in found if each.group == group]):5.2f}")
    print(f"{'all kinds':18} {np.mean([each.mean for each in found]):5.2f}   p95 {np.percentile(abs(errors), 95):.1f}")
    return found


def shipped() -> np.ndarray:
    packed = Path(tokens.__file__).with_name(tokens.TABLE_FILE).read_bytes()
    return np.frombuffer(zlib.decompress(packed), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into the package")
    parser.add_argument("--shipped", action="store_true", help="test the table of the package, and fit none")
    parser.add_argument("--record", action="store_true", help="keep the errors of the shipped table under runs/")
    options = parser.parse_args()
    if (options.record and not options.shipped) or (options.write and options.shipped):
        parser.error("`--record` goes with `--shipped`, and `--write` without it")
    exact = vocabulary(options.ranks)
    fitting = not options.shipped
    table = np.rint(fitted(measured(options.corpus, exact, odd=False)) * tokens.ONE) if fitting else shipped()
    found = report(measured(options.corpus, exact, odd=True), table / tokens.ONE)
    if options.record:
        print(compare.record("token-errors", found, {name: version(name) for name in ("nanocode", "tiktoken")}))
    if options.write:
        packed = zlib.compress(table.astype(np.uint8).tobytes(), 9)
        Path(tokens.__file__).with_name(tokens.TABLE_FILE).write_bytes(packed)
        print(f"wrote {len(packed)} bytes")


if __name__ == "__main__":
    main()
