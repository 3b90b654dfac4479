"""Counts of tokens: our two twins against tiktoken on the same texts, in turns; equality and error first.

    python benchmarks/bench_tokens.py CORPUS RANKS [--record]

CORPUS and RANKS are those of `fit_tokens.py`. The anchored count is measured on made-up sessions over texts of the
corpus, whose server counts o200k times a factor of its own: how far off the window's use is known before each request.
"""

import argparse
import random
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import compare
import tiktoken
from corpora import KINDS, texts
from exact import vocabulary

from nanocode._ext import tokens as native
from nanocode.agent.gauge import OVERHEAD, Gauge
from nanocode.hot import tokens as python
from nanocode.messages import Assistant, Call, Message, ToolAnswer, Usage, User

SESSIONS, TURNS = 12, 70


def speed(root: Path, exact: tiktoken.Encoding, rounds: int) -> list[compare.Figure]:
    found = []
    for group in dict.fromkeys(kind.group for kind in KINDS.values()):
        samples = [each for name, kind in KINDS.items() if kind.group == group for each in texts(root, name, True, 10)]
        assert [python.estimate(each) for each in samples] == [native.estimate(each) for each in samples]
        found += contest(group, samples, exact, rounds)
    return found


def contest(group: str, samples: list[str], exact: tiktoken.Encoding, rounds: int) -> list[compare.Figure]:
    contenders = {
        "nanocode": lambda: sum(map(native.estimate, samples)),
        "nanocode, Python twin": lambda: sum(map(python.estimate, samples)),
        "tiktoken": lambda: sum(len(exact.encode_ordinary(each)) for each in samples),
    }
    size = sum(len(each.encode()) for each in samples)
    # The numbers differ by the error that is reported above.
    return compare.compare(group, contenders, size=size, normal=bool, rounds=rounds)


def errors(root: Path, exact: tiktoken.Encoding) -> None:
    for group in dict.fromkeys(kind.group for kind in KINDS.values()):
        ours, chars = [], []
        for name in (name for name, kind in KINDS.items() if kind.group == group):
            for text in texts(root, name, True, 20):
                true = len(exact.encode_ordinary(text))
                ours.append(abs(native.estimate(text) / true - 1))
                chars.append(abs(len(text) / 4 / true - 1))
        shown = [f"{100 * sum(each) / len(each):6.1f} (worst {100 * max(each):.0f})" for each in (ours, chars)]
        print(f"{group:12} error in percent: {shown[0]}, of characters / 4: {shown[1]}")


def session(pool: list[str], seed: int) -> Iterator[Message]:
    """One long turn of tool calls, with answers of very different sizes."""
    chance = random.Random(seed)
    yield User(chance.choice(pool)[: chance.randrange(40, 2000)])
    for turn in range(TURNS):
        yield Assistant(
            chance.choice(pool)[: chance.randrange(400)], "", (Call(str(turn), "bash", '{"command": "x"}'),)
        )
        start, size = chance.randrange(5000), int(chance.lognormvariate(7, 1.2))
        yield ToolAnswer(str(turn), "bash", chance.choice(pool)[start : start + size])


def anchored(root: Path, exact: tiktoken.Encoding) -> list[float]:
    """The errors of each request's reading, as shares of what its server counts."""
    pool = [text for name in ("read", "grep", "diff", "log", "python", "json") for text in texts(root, name, True, 40)]
    wrong = []
    for seed in range(SESSIONS):
        factor, gauge, history, total = random.Random(seed).uniform(0.9, 1.3), Gauge(), [], 0
        for message in session(pool, seed):
            true = factor * (OVERHEAD + len(exact.encode_ordinary(said(message))))
            if isinstance(message, Assistant):
                wrong.append(abs(gauge.read(3000, history).tokens / (total + factor * 3000) - 1))
                usage = Usage(round(total + factor * 3000), round(true))
                history.append(Assistant(message.text, "", message.calls, usage))
                gauge.learn(3000, history)
            else:
                history.append(message)
            total += round(true)
    return sorted(wrong)


def said(message: Message) -> str:
    calls = message.calls if isinstance(message, Assistant) else ()
    return message.text + "".join(f"{call.name} {call.arguments}" for call in calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    exact = vocabulary(options.ranks)
    errors(options.corpus, exact)
    wrong = anchored(options.corpus, exact)
    mean, p95 = 100 * sum(wrong) / len(wrong), 100 * wrong[int(0.95 * len(wrong))]
    print(f"anchored, of {len(wrong)} requests: {mean:.2f} % off in the mean, {p95:.2f} % at the 95th percentile")
    found = speed(options.corpus, exact, options.rounds)
    print(compare.table(found))
    if options.record:
        print(compare.record("tokens", found, {name: version(name) for name in ("nanocode", "tiktoken")}))


if __name__ == "__main__":
    main()
