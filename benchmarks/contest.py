"""Races a call of ours against programs and libraries of very different speed; knows nothing of what they do.

As in `compare.py`, results are compared before any clock runs and a ratio is the median of the ratios within one round.
Here a case has a time budget, which slow contenders cannot break: they take part in fewer rounds, or in none, and then
their first run counts. The processors' time is noted too, and rounds in which other programs ran are left out.
"""

import gc
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter
from typing import Any

from compare import SAMPLE_SECONDS

ROUNDS = 7
# What a contender beside the first two is given.
FEWER_ROUNDS = 3
BUDGET_SECONDS = 8.0
# Below this share of the processors, others' work is the noise of the kernel's own clock.
FOREIGN = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender in one case: median seconds a call, how many times faster ours is, our processor time / theirs.

    `rounds` is 0 when only the first run was measured; `cut` says that even that was ended before it was done.
    """

    case: str
    contender: str
    seconds: float
    ratio: float
    cpu: float
    rounds: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a contender: seconds a call, seconds of the processors, and the share that others took of them."""

    seconds: float
    used: float
    foreign: float


def contest(
    case: str,
    contenders: Mapping[str, Callable[[], Any]],
    *,
    normal: Callable[[Any], Any],
    apart: Mapping[str, str] | None = None,
    rounds: int = ROUNDS,
    budget: float = BUDGET_SECONDS,
) -> list[Figure]:
    """Time all contenders, the first of which is ours; one that raises TimeoutError is cut.

    `apart` has the contenders whose results differ from ours by design, and why; that of another raises AssertionError.
    """
    # Nobody's first run finds the files cold.
    with suppress(TimeoutError):
        next(iter(contenders.values()))()
    first: dict[str, Sample] = {}
    results: dict[str, Any] = {}
    cut = []
    for name, run in contenders.items():
        start = perf_counter()
        try:
            first[name] = sample(lambda name=name, run=run: results.update({name: run()}), 1)
        except TimeoutError:
            first[name] = Sample(perf_counter() - start, 0.0, 0.0)
            cut.append(name)
    require_equal(case, {name: normal(result) for name, result in results.items()}, apart or {})
    results.clear()
    turns = shares({name: first[name].seconds for name in contenders if name not in cut}, rounds, budget)
    taken = race(contenders, turns, first)
    return [figure(case, name, first, taken, name in cut) for name in contenders]


def require_equal(case: str, results: Mapping[str, Any], apart: Mapping[str, str]) -> None:
    first, *others = results
    for name in others:
        if results[name] == results[first]:
            continue
        mine, theirs = results[first] - results[name], results[name] - results[first]
        words = f"{case}: {len(mine)} only of `{first}`, {len(theirs)} only of `{name}`"
        if name not in apart:
            raise AssertionError(f"{words}, such as {sorted(mine | theirs)[:3]}")
        print(f"{words}: {apart[name]}")


def shares(cost: Mapping[str, float], rounds: int, budget: float) -> dict[str, int]:
    """How many rounds each contender takes part in; the first two come before all others."""
    turns: dict[str, int] = {}
    left = budget
    for position, (name, seconds) in enumerate(cost.items()):
        share = left * 0.6 if position < 2 else left / (len(cost) - position)
        seconds = max(seconds, SAMPLE_SECONDS)
        turns[name] = min(rounds if position < 2 else FEWER_ROUNDS, int(share / seconds))
        left -= turns[name] * seconds
    return turns


def race(
    contenders: Mapping[str, Callable[[], Any]], turns: Mapping[str, int], first: Mapping[str, Sample]
) -> dict[str, dict[int, Sample]]:
    """The samples of each contender by round."""
    taken: dict[str, dict[int, Sample]] = {name: {} for name in contenders}
    for index in range(max(turns.values())):
        names = [name for name in turns if turns[name] > index]
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            calls = max(1, round(SAMPLE_SECONDS / max(first[name].seconds, 1e-7)))
            # One that was near its end in the first run may be cut in a later one.
            with suppress(TimeoutError):
                taken[name][index] = sample(contenders[name], calls)
    return taken


def sample(run: Callable[[], Any], calls: int) -> Sample:
    gc.collect()
    busy, used, start = busy_seconds(), own_seconds(), perf_counter()
    for _ in range(calls):
        run()
    took, used = perf_counter() - start, own_seconds() - used
    foreign = max(0.0, busy_seconds() - busy - used - 2 / _TICKS)
    return Sample(took / calls, used / calls, foreign / took / (os.cpu_count() or 1))


def own_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def busy_seconds() -> float:
    """What all processors together worked since the machine started, time taken by its host included."""
    try:
        fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields)
    return (user + nice + system + interrupts + soft + stolen) / _TICKS


def figure(
    case: str, name: str, first: Mapping[str, Sample], taken: Mapping[str, Mapping[int, Sample]], cut: bool
) -> Figure:
    own = next(iter(taken))
    ours = taken[own] or {0: first[own]}
    together = taken[name].keys() & ours.keys()
    pairs = [(taken[name][index], ours[index]) for index in together] or [(first[name], each) for each in ours.values()]
    quiet = [pair for pair in pairs if max(each.foreign for each in pair) < FOREIGN]
    if len(quiet) >= min(3, len(pairs)):
        pairs = quiet
    ratio = median(theirs.seconds / own.seconds for theirs, own in pairs)
    used = median(own.used / max(theirs.used, 1e-9) for theirs, own in pairs) if not cut else 0.0
    middle = median(theirs.seconds for theirs, _ in pairs)
    return Figure(case, name, middle, round(ratio, 2), round(used, 3), len(taken[name]), cut)


def table(figures: list[Figure]) -> str:
    rows = [f"{'case':28} {'contender':24} {'ms a call':>10} {'ratio':>9} {'our CPU':>8} {'rounds':>6}"]
    for item in figures:
        ratio = f"{'>' if item.cut else ''}{item.ratio:.2f}"
        used = "" if item.cut else f"{item.cpu:.2f}"
        rows.append(
            f"{item.case:28} {item.contender:24} {item.seconds * 1e3:10.2f} {ratio:>9} {used:>8} {item.rounds:6}"
        )
    return "\n".join(rows)
