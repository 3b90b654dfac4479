"""Fits the pair table of `nanocode.hot.tokens` to an exact tokeniser, and says how far off it is on unseen files.

    python benchmarks/fit_tokens.py CORPUS RANKS [--write]

CORPUS is the folder that `corpora.py` describes, RANKS that of `exact.py`. Of each kind every other file is
fitted to, and the rest is the test. Needs numpy.
"""

import argparse
import zlib
from pathlib import Path
from typing import NamedTuple

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


def report(data: Data, table: np.ndarray) -> None:
    errors = data.errors(table)
    groups: dict[str, list[float]] = {}
    print("mean and worst error in percent, and the mean of both signs, over texts of 10 KB:")
    for number, (name, kind) in enumerate(KINDS.items()):
        mine = 100 * errors[data.kind == number]
        groups.setdefault(kind.group, []).append(abs(mine).mean())
        print(f"  {name:16} {abs(mine).mean():5.1f} {abs(mine).max():6.1f} {mine.mean():+6.1f}  n={len(mine)}")
    for group, means in groups.items():
        print(f"{group:18} {np.mean(means):5.2f}")
    overall = np.mean([mean for means in groups.values() for mean in means])
    print(f"{'all kinds':18} {overall:5.2f}   p95 {np.percentile(abs(errors), 95) * 100:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("--write", action="store_true", help="put the table into the package")
    options = parser.parse_args()
    exact = vocabulary(options.ranks)
    table = np.rint(fitted(measured(options.corpus, exact, odd=False)) * tokens.ONE)
    report(measured(options.corpus, exact, odd=True), table / tokens.ONE)
    if options.write:
        packed = zlib.compress(table.astype(np.uint8).tobytes(), 9)
        Path(tokens.__file__).with_name(tokens.TABLE_FILE).write_bytes(packed)
        print(f"wrote {len(packed)} bytes")


if __name__ == "__main__":
    main()
