"""The calls of one answer: readers together, writers alone and in order, one answer each, failures as words."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import pytest

from nanocode.agent.toolbox import NOTE_AT, STOP_AT, Toolbox, select
from nanocode.errors import LimitReached, ToolError, UsageError
from nanocode.events import Event, ToolEnded, ToolOutput, ToolStarted
from nanocode.messages import Call, ToolAnswer
from nanocode.settings import Settings
from nanocode.tool import Context, Result, tool
from nanocode.tools import ALL


class Bench:
    """A toolbox of the test's own tools; `log` tells what ran when."""

    def __init__(self, cwd: Path) -> None:
        self.log: list[str] = []
        self.events: list[Event] = []
        self.together = asyncio.Barrier(3)

        @tool(reads=True)
        async def look(context: Context, name: Annotated[str, "what"]) -> Result:
            """Ends only when three of its kind run at once."""
            await self.together.wait()
            self.log.append(f"look {name}")
            return Result(name)

        @tool()
        async def change(context: Context, name: Annotated[str, "what"]) -> Result:
            """Gives way in its middle, so that another could come in between."""
            self.log.append(f"begin {name}")
            await asyncio.sleep(0)
            context.output(f"half of {name}")
            self.log.append(f"end {name}")
            return Result(name)

        @tool(reads=True)
        async def fail(context: Context, how: Annotated[str, "in which way"]) -> Result:
            """Fails."""
            if how == "tool":
                raise ToolError("it is odd", "do it otherwise")
            if how == "file":
                open(cwd / "missing").close()
            raise KeyError("a bug")

        @tool()
        async def hang(context: Context) -> Result:
            """Never ends."""
            self.log.append("hang")
            await asyncio.Event().wait()
            raise AssertionError

        settings = Settings(cwd=cwd, home=cwd)
        self.box = Toolbox([look, change, fail, hang], settings, self.events.append)

    async def answer(self, *calls: Call) -> list[ToolAnswer]:
        answers: list[ToolAnswer] = []
        await self.box.answer(calls, answers.append)
        return answers


def run(cwd: Path, job: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        await job(Bench(cwd))

    asyncio.run(main())


def call(name: str, arguments: str = "{}", id: str = "") -> Call:
    return Call(id or f"{name}{arguments}", name, arguments)


def test_readers_run_together(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        answers = await bench.answer(*(call("look", f'{{"name": "{name}"}}') for name in "abc"))
        assert sorted(answer.text for answer in answers) == ["a", "b", "c"]

    run(tmp_path, job)


def test_writers_run_alone_in_call_order_and_between_the_readers_around_them(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        looks = [call("look", f'{{"name": "{name}"}}') for name in "abcdef"]
        changes = [call("change", f'{{"name": "{name}"}}') for name in "xy"]
        await bench.answer(*looks[:3], *changes, *looks[3:])
        assert sorted(bench.log[:3]) == ["look a", "look b", "look c"]
        assert bench.log[3:7] == ["begin x", "end x", "begin y", "end y"]
        assert sorted(bench.log[7:]) == ["look d", "look e", "look f"]

    run(tmp_path, job)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("fail", '{"how": "tool"}', "it is odd\nhint: do it otherwise"),
        ("fail", '{"how": "file"}', "No such file or directory: `"),
        ("fail", '{"how": "bug"}', "`fail` failed: KeyError: 'a bug'"),
        ("fail", '{"how": ', "not valid JSON"),
        ("fail", "{}", "`how` is missing"),
        ("lok", "{}", "there is no tool `lok`; the tools are: look, change, fail, hang"),
    ],
)
def test_a_failure_becomes_words_for_the_model(tmp_path: Path, name: str, arguments: str, words: str) -> None:
    async def job(bench: Bench) -> None:
        (answer,) = await bench.answer(call(name, arguments))
        assert answer.failed and words in answer.text

    run(tmp_path, job)


def test_each_call_has_its_events(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        await bench.answer(call("change", '{"name": "x"}', "1"), call("fail", "[]", "2"))
        kinds = [(type(event), event.id) for event in bench.events]  # type: ignore[union-attr]
        assert kinds == [(ToolStarted, "1"), (ToolOutput, "1"), (ToolEnded, "1"), (ToolStarted, "2"), (ToolEnded, "2")]
        started = bench.events[3]
        assert isinstance(started, ToolStarted) and started.args == "[]"

    run(tmp_path, job)


def test_a_cancelled_batch_keeps_what_was_answered_and_ends_what_was_begun(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        answers: list[ToolAnswer] = []
        calls = [call("change", '{"name": "x"}'), call("hang"), call("change", '{"name": "y"}')]
        task = asyncio.create_task(bench.box.answer(calls, answers.append))
        while "hang" not in bench.log:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [answer.text for answer in answers] == ["x"]
        assert bench.log == ["begin x", "end x", "hang"]
        begun = [event.id for event in bench.events if isinstance(event, ToolStarted)]
        assert begun == [event.id for event in bench.events if isinstance(event, ToolEnded)]

    run(tmp_path, job)


def test_the_same_call_again_and_again_is_noted_then_stopped(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        same = call("change", '{"name": "x"}')
        texts = []
        for _ in range(STOP_AT - 1):
            (answer,) = await bench.answer(same)
            texts.append(answer.text)
        assert [n >= NOTE_AT for n in range(1, STOP_AT)] == ["in a row" in text for text in texts]
        with pytest.raises(LimitReached, match="5 times in a row: `change`"):
            await bench.answer(same, call("fail", '{"how": "tool"}'))
        assert bench.log.count("begin x") == STOP_AT - 1
        assert "in a row" not in (await bench.answer(same))[0].text, "the count starts afresh"

    run(tmp_path, job)


def test_another_call_in_between_starts_the_count_afresh(tmp_path: Path) -> None:
    async def job(bench: Bench) -> None:
        for n in range(2 * STOP_AT):
            (answer,) = await bench.answer(call("change", f'{{"name": "{n % 2}"}}'))
            assert "in a row" not in answer.text

    run(tmp_path, job)


def test_tools_are_chosen_by_name() -> None:
    names = [each.name for each in ALL]
    assert [each.name for each in select(ALL, "bash, read")] == [name for name in names if name in ("bash", "read")]
    for everything in ("all", "default", "*", "core", "pi", "readonly", "extended", "rich", "SAFE"):
        assert select(ALL, everything) == list(ALL)
    assert select(ALL, "none") == select(ALL, "") == []
    with pytest.raises(UsageError, match="unknown tool `reed`") as caught:
        select(ALL, "bash,reed")
    assert "read, write" in caught.value.hint
