"""Counts of tokens: our two twins against tiktoken on the same texts, in turns; equality and error first.

    npm i --ignore-scripts js-tiktoken
    python benchmarks/bench_tokens.py node_modules/js-tiktoken/dist/ranks [TREE ...] [--corpus CORPUS] [--record]

The anchored count is measured on the turns of an agent (`turns.py`) in folders of each TREE, by default Python's own
library: how far off the window's use is known before each request. The server counts with a vocabulary of its own
times a factor. The estimate by itself is measured on CORPUS, the folder that `corpora.py` describes.
"""

import argparse
import random
import sysconfig
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import compare
import tiktoken
import turns
from corpora import KINDS, texts
from exact import vocabulary

from nanocode._ext import tokens as native
from nanocode.agent.gauge import OVERHEAD, Gauge
from nanocode.context.prompt import default
from nanocode.hot import tokens as python
from nanocode.jsontext import dumps
from nanocode.messages import Assistant, Message, ToolAnswer, Usage
from nanocode.tools import ALL

# Folders of each tree.
SESSIONS = 6
SERVERS = ("o200k_base", "cl100k_base")
# A context from this size on is one that fills a window.
LONG = 30_000
# Vendors show the tools to their models in forms of their own.
TOOLS = (0.8, 1.3)


def speed(root: Path, exact: tiktoken.Encoding, rounds: int) -> list[compare.Figure]:
    found = []
    for group in dict.fromkeys(kind.group for kind in KINDS.values()):
        samples = [each for name, kind in KINDS.items() if kind.group == group for each in texts(root, name, True, 10)]
        found += contest(group, samples, exact, rounds)
    return found


def contest(group: str, samples: list[str], exact: tiktoken.Encoding, rounds: int) -> list[compare.Figure]:
    assert [python.estimate(each) for each in samples] == [native.estimate(each) for each in samples]
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


def sessions(trees: list[Path]) -> list[list[Message]]:
    found = []
    for tree in trees:
        folders = turns.folders(tree)
        chosen = random.Random(5).sample(folders, min(SESSIONS, len(folders)))
        found += [turns.session(folder, seed) for seed, folder in enumerate(chosen)]
    return found


def anchored(messages: list[Message], exact: tiktoken.Encoding, chance: random.Random) -> list[tuple[float, float]]:
    """Of each request but the first the tokens as its server counts them, and the error as a share of these."""
    factor = chance.uniform(0.9, 1.3)

    def true(*said: str) -> float:
        return factor * (OVERHEAD + sum(len(exact.encode_ordinary(each)) for each in said))

    tools = [f"{tool.name} {tool.description} {dumps(tool.parameters).decode()}" for tool in ALL]
    gauge, history, wrong = Gauge(), [], []
    fixed = OVERHEAD + gauge.text(default(ALL)) + gauge.tools(ALL)
    total = true(default(ALL)) + chance.uniform(*TOOLS) * true(*tools)
    for message in messages:
        own = true(*said(message))
        if isinstance(message, Assistant):
            wrong.append((total, abs(gauge.read(fixed, history).tokens / total - 1)))
            history.append(replace(message, usage=Usage(round(total), round(own))))
            gauge.learn(fixed, history)
        else:
            history.append(message)
        total += own
    return wrong[1:]


def said(message: Message) -> list[str]:
    calls = message.calls if isinstance(message, Assistant) else ()
    return [message.text, *(f"{call.name} {call.arguments}" for call in calls)]


def off(case: str, wrong: list[float]) -> str:
    mean, p95 = 100 * sum(wrong) / len(wrong), 100 * sorted(wrong)[int(0.95 * len(wrong))]
    return f"{case}, {len(wrong)} requests: {mean:.3f} % off in the mean, {p95:.2f} % at the 95th percentile"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ranks", type=Path)
    parser.add_argument("tree", type=Path, nargs="*", default=[Path(sysconfig.get_path("stdlib"))])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--record", action="store_true", help="keep the figures under runs/")
    parser.add_argument("--rounds", type=int, default=compare.ROUNDS)
    options = parser.parse_args()
    worked = sessions(options.tree)
    for server in SERVERS:
        exact, chance = vocabulary(options.ranks, server), random.Random(6)
        wrong = [each for messages in worked for each in anchored(messages, exact, chance)]
        print(off(f"anchored, server counts {server}", [error for _, error in wrong]))
        print(off(f"  of these from {LONG:,} tokens on", [error for total, error in wrong if total >= LONG]))
    exact = vocabulary(options.ranks)
    answers = [each.text for messages in worked for each in messages if isinstance(each, ToolAnswer)]
    found = contest("answers of tools", answers, exact, options.rounds)
    if options.corpus:
        errors(options.corpus, exact)
        found += speed(options.corpus, exact, options.rounds)
    print(compare.table(found))
    if options.record:
        print(compare.record("tokens", found, {name: version(name) for name in ("nanocode", "tiktoken")}))


if __name__ == "__main__":
    main()
