"""What a child is started with, and what comes of one that cannot start or says odd things."""

import os
from pathlib import Path

from program import carried

from nanocode.events import Event, ToolStarted
from nanocode.jobs.child import Child, Order, environment, inherited
from nanocode.settings import Settings, resolve


def order(tmp_path: Path, prompt: str, **options: object) -> Order:
    about: dict[str, object] = {"cwd": tmp_path, "flags": ("--demo",), "environ": carried() | {"HOME": str(tmp_path)}}
    return Order(prompt, **(about | options))  # type: ignore[arg-type]


def test_a_child_tells_what_it_does_and_how_it_ended(tmp_path: Path) -> None:
    heard: list[Event] = []
    outcome = Child(order(tmp_path, "run `echo $HI`", extra={"HI": "from far"}), heard.append).run()
    assert (outcome.state, outcome.code, outcome.turns) == ("done", 0, 2) and "from far" in outcome.text
    assert outcome.session and outcome.usage.output == 40 and outcome.cost is None
    assert [event.name for event in heard if isinstance(event, ToolStarted)] == ["bash"]


def test_a_prompt_may_be_longer_than_an_argument_or_a_pipe_can_be(tmp_path: Path) -> None:
    outcome = Child(order(tmp_path, "run `echo hi`\n" + "word " * 40_000)).run()
    assert outcome.state == "done", outcome.error


def test_a_child_that_cannot_start_says_why(tmp_path: Path) -> None:
    nowhere = Child(order(tmp_path, "hi", cwd=tmp_path / "no")).run()
    assert nowhere.state == "failed" and "could not be started" in nowhere.error and not nowhere.transient
    refused = Child(order(tmp_path, "hi", flags=("--no-such-flag",))).run()
    assert (refused.state, refused.code) == ("failed", 2) and "no-such-flag" in refused.error


def test_one_that_is_cancelled_before_it_starts_ends_at_once(tmp_path: Path) -> None:
    child = Child(order(tmp_path, "run `sleep 300`"))
    child.cancel()
    assert child.run().state == "cancelled"


def test_what_binds_a_run_binds_its_children(tmp_path: Path) -> None:
    flags = {"no_context_files": True, "no_session": True, "max_turns": "7", "demo": False, "time_limit": "5"}
    settings, _ = resolve(flags, {}, tmp_path, tmp_path)
    assert inherited(settings) == ("--no-context-files", "--no-session", "--max-turns", "7")


def test_the_environment_of_a_child(tmp_path: Path) -> None:
    here = {"PYTHONPATH": f"src{os.pathsep}/abs", "OPENAI_API_KEY": "sk-test"}
    settings = Settings(tmp_path, tmp_path, here, tmp_path / "nano", base_url="http://x/v1", depth=1)
    environ = environment(settings, "abc")
    assert environ["PYTHONPATH"] == f"{tmp_path / 'src'}{os.pathsep}/abs"
    assert (environ["NANOCODE_DEPTH"], environ["NANOCODE_PARENT_SESSION"]) == ("2", "abc")
    assert (environ["OPENAI_BASE_URL"], environ["NANOCODE_DIR"]) == ("http://x/v1", str(tmp_path / "nano"))
