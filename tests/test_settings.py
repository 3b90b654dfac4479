"""Where a setting comes from, which source wins, and what happens to a bad one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nanocode.errors import UsageError
from nanocode.settings import VARIABLES, Settings, resolve


def resolved(tmp_path: Path, flags: dict[str, Any] | None = None, **environ: str) -> tuple[Settings, tuple[str, ...]]:
    return resolve(flags or {}, environ, tmp_path, tmp_path)


def save(tmp_path: Path, content: Any) -> None:
    (tmp_path / ".nanocode").mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / ".nanocode" / "settings.json").write_text(text)


def test_a_flag_wins_over_a_variable_a_variable_over_the_file_the_file_over_the_default(tmp_path: Path) -> None:
    def model(flags: dict[str, Any], **environ: str) -> str:
        return resolved(tmp_path, flags, **environ)[0].model

    assert model({}) == "kimi-k2.6"
    save(tmp_path, {"model": "file"})
    assert model({}) == "file"
    assert model({}, MODEL="variable") == "variable"
    assert model({"model": "flag"}, MODEL="variable") == "flag"
    assert model({"model": "opencode-go/flag"}) == "flag"


def test_every_default_of_the_table_is_the_default_of_the_settings(tmp_path: Path) -> None:
    settings, warnings = resolved(tmp_path)
    assert not warnings
    for row in VARIABLES:
        if row.field and row.field != "directory":
            assert getattr(settings, row.field) == row.default
            assert getattr(Settings(cwd=tmp_path, home=tmp_path), row.field) == row.default


@pytest.mark.parametrize("row", [row for row in VARIABLES if row.field and not isinstance(row.default, str)])
def test_a_bad_variable_falls_back_with_one_warning_and_a_number_is_clamped(tmp_path: Path, row: Any) -> None:
    settings, warnings = resolved(tmp_path, **{row.name: "nonsense"})
    assert getattr(settings, row.field) == row.default
    assert len(warnings) == 1 and row.name in warnings[0] and "nonsense" in warnings[0]
    if not isinstance(row.default, bool):
        for text, bound in (("-1e99", row.low), ("1e99", row.high)):
            whole = str(int(float(text))) if isinstance(row.default, int) else text
            assert getattr(resolved(tmp_path, **{row.name: whole})[0], row.field) == bound
    assert getattr(resolved(tmp_path, **{row.name: ""})[0], row.field) == row.default


@pytest.mark.parametrize("value", ["nan", "NaN"])
def test_not_a_number_is_no_number(tmp_path: Path, value: str) -> None:
    settings, warnings = resolved(tmp_path, NANOCODE_IDLE_SECONDS=value)
    assert settings.idle_seconds == 120 and len(warnings) == 1


@pytest.mark.parametrize("content", ["{", "[]", "3", '"x"', '{"no_such": 1}', '{"model": '])
def test_a_settings_file_that_cannot_be_used_is_a_warning(tmp_path: Path, content: str) -> None:
    save(tmp_path, content)
    settings, warnings = resolved(tmp_path)
    assert settings.model == "kimi-k2.6"
    assert len(warnings) == 1 and "settings.json" in warnings[0]


@pytest.mark.parametrize("value", ["many", "2.5", [3], {}, math.inf])
def test_a_setting_that_is_no_whole_number_is_told_in_words(tmp_path: Path, value: Any) -> None:
    save(tmp_path, {"tries": value})
    settings, warnings = resolved(tmp_path)
    assert warnings == (f"`setting tries` is ignored: `{value}` is not a whole number; using 3",)
    assert settings.tries == 3


def test_the_folder_moves(tmp_path: Path) -> None:
    assert resolved(tmp_path)[0].directory == tmp_path / ".nanocode"
    assert resolved(tmp_path, NANOCODE_DIR=str(tmp_path / "x"))[0].directory == tmp_path / "x"
    assert resolved(tmp_path, NANOCODE_DIR="~/x")[0].directory == tmp_path / "x"


def test_endpoints(tmp_path: Path) -> None:
    base = resolved(tmp_path, OPENAI_BASE_URL="http://h/v1/")[0]
    assert (base.endpoint, base.models_url) == ("http://h/v1/chat/completions", "http://h/v1/models")
    whole = resolved(tmp_path, OPENAI_API_URL="http://h/x/chat/completions", OPENAI_BASE_URL="http://no")[0]
    assert (whole.endpoint, whole.models_url) == ("http://h/x/chat/completions", "http://h/x/models")


def test_prompts_are_texts_or_files(tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text("from a file")
    flags = {"system_prompt": ["plain words", "rules.md"], "append_system_prompt": ["x" * 5000, "a\0b"]}
    settings, _ = resolved(tmp_path, flags)
    assert settings.system_prompt == ("plain words", "from a file")
    assert settings.append_system_prompt == ("x" * 5000, "a\0b")


@pytest.mark.parametrize("value", ["0", "-1", "x", "nan", "1.5"])
def test_a_limit_that_is_none_is_a_usage_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="--max-turns"):
        resolved(tmp_path, {"max_turns": value})


def test_the_environment_does_not_show_in_a_repr(tmp_path: Path) -> None:
    assert "sk-secret" not in repr(resolved(tmp_path, OPENAI_API_KEY="sk-secret")[0])
