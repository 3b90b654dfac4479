"""Times contenders against each other in interleaved rounds and records the ratios; knows nothing of what they do.

Every contender of a case must give the same result before any clock runs. A ratio is the median over the rounds of
(their time / our time in the same round), so that a change of the machine's speed between rounds cancels out.
"""

import gc
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

RUNS = Path(__file__).parent / "runs"
ROUNDS = 11
# A sample this long hides the clock's own noise and the loop around the calls.
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Figure:
    """One contender in one case: median seconds a call, and how many times faster ours is (1.0 for ours)."""

    case: str
    contender: str
    seconds: float
    ratio: float
    megabytes_per_second: float | None


def compare(
    case: str,
    contenders: Mapping[str, Callable[[], Any]],
    *,
    size: int | None = None,
    normal: Callable[[Any], Any] = lambda result: result,
    rounds: int = ROUNDS,
) -> list[Figure]:
    """Time all contenders, the first of which is ours; `size` is the bytes that one call works through.

    `normal` brings results to a common form outside the clock. Raises AssertionError when two of them differ.
    """
    names = list(contenders)
    require_equal(case, {name: normal(run()) for name, run in contenders.items()})
    calls = {name: calls_per_sample(run) for name, run in contenders.items()}
    samples: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            samples[name].append(seconds(contenders[name], calls[name]))
    ours = samples[names[0]]
    return [figure(case, name, samples[name], ours, size) for name in names]


def require_equal(case: str, results: Mapping[str, Any]) -> None:
    first, *others = results
    for name in others:
        if results[name] != results[first]:
            raise AssertionError(f"{case}: `{name}` and `{first}` give different results")


def calls_per_sample(run: Callable[[], Any]) -> int:
    return max(1, round(SAMPLE_SECONDS / max(seconds(run, 1), 1e-7)))


def seconds(run: Callable[[], Any], calls: int) -> float:
    gc.collect()
    start = perf_counter()
    for _ in range(calls):
        run()
    return (perf_counter() - start) / calls


def figure(case: str, name: str, samples: Sequence[float], ours: Sequence[float], size: int | None) -> Figure:
    middle = median(samples)
    ratio = median(theirs / own for theirs, own in zip(samples, ours, strict=True))
    return Figure(case, name, middle, round(ratio, 2), size and round(size / middle / 1e6, 1))


def machine() -> dict[str, str | int | None]:
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def table(figures: Sequence[Figure]) -> str:
    rows = [f"{'case':28} {'contender':24} {'us a call':>12} {'MB/s':>9} {'ratio':>8}"]
    for item in figures:
        rate = "" if item.megabytes_per_second is None else f"{item.megabytes_per_second:.1f}"
        rows.append(f"{item.case:28} {item.contender:24} {item.seconds * 1e6:12.1f} {rate:>9} {item.ratio:8.2f}")
    return "\n".join(rows)


def record(kind: str, figures: Sequence[Any], versions: Mapping[str, str], *, part: bool = False, **more: Any) -> Path:
    """Write `runs/DATE-KIND.json`, over an earlier one of that day, with figures of any dataclass; return its path.

    Of a `part` the other cases of that earlier one stay.
    """
    date = datetime.now(UTC).date().isoformat()
    path = RUNS / f"{date}-{kind}.json"
    old = json.loads(path.read_text(encoding="utf-8"))["figures"] if part and path.exists() else []
    cases: dict[str, list[Any]] = {figure["case"]: [] for figure in old}
    fresh = {figure.case for figure in figures}
    for figure in [each for each in old if each["case"] not in fresh] + [asdict(each) for each in figures]:
        cases.setdefault(figure["case"], []).append(figure)
    content = {"date": date, "machine": machine(), "versions": dict(versions), **more}
    content["figures"] = [figure for each in cases.values() for figure in each]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path
