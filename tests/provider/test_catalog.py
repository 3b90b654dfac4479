"""What is known of a model without asking anyone: the table, OpenCode's cache, the default."""

import json
from pathlib import Path

import pytest

from nanocode.errors import UsageError
from nanocode.messages import Usage
from nanocode.provider.catalog import OUTPUT, WINDOW, host, is_opencode, model
from nanocode.settings import GO_URL, Settings

LOCAL = "http://127.0.0.1:4010/v1"


def settings(tmp_path: Path, url: str = LOCAL, **environ: str) -> Settings:
    return Settings(cwd=tmp_path, home=tmp_path, environ=environ, base_url=url)


def test_the_table_knows_windows_and_prices(tmp_path: Path) -> None:
    kimi = model(settings(tmp_path), "kimi-k2.6")
    assert (kimi.window, kimi.output, kimi.takes_images) == (262_144, OUTPUT, True)
    assert kimi.cost(Usage(1_000_000, 1_000_000, 0)) == pytest.approx(4.95)
    assert kimi.cost(Usage(1_000_000, 0, 1_000_000)) == pytest.approx(0.16)


def test_an_unknown_model_has_the_default_window_and_no_price(tmp_path: Path) -> None:
    unknown = model(settings(tmp_path), "my-model")
    assert (unknown.window, unknown.output, unknown.cost(Usage(1, 1))) == (WINDOW, 0, None)


@pytest.mark.parametrize("variable", ["", "XDG_CACHE_HOME"])
def test_opencodes_cache_of_models_dev_is_read(tmp_path: Path, variable: str) -> None:
    cache = tmp_path / "cache" if variable else tmp_path / ".cache"
    (cache / "opencode").mkdir(parents=True)
    entry = {
        "limit": {"context": 500_000, "output": 9_000},
        "cost": {"input": 2, "output": 8, "cache_read": 0.5},
        "modalities": {"input": ["text", "image"]},
    }
    (cache / "opencode" / "models.json").write_text(json.dumps({"vendor": {"models": {"my-model": entry}}}))
    found = model(settings(tmp_path, **({variable: str(cache)} if variable else {})), "my-model")
    assert (found.window, found.output, found.prices, found.takes_images) == (500_000, 9_000, (2, 8, 0.5), True)


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', '{"x": {"models": {"my-model": 3}}}'])
def test_a_cache_that_is_odd_is_no_cache(tmp_path: Path, content: str) -> None:
    (tmp_path / ".cache" / "opencode").mkdir(parents=True)
    (tmp_path / ".cache" / "opencode" / "models.json").write_text(content)
    assert model(settings(tmp_path), "my-model").window == WINDOW


@pytest.mark.parametrize("id", ["minimax-m3", "qwen3.5-plus", "grok-5", "gpt-5.1", "muse-1"])
def test_models_of_other_protocols_are_refused_at_opencode_only(tmp_path: Path, id: str) -> None:
    with pytest.raises(UsageError, match="speaks `/"):
        model(settings(tmp_path, GO_URL), id)
    assert model(settings(tmp_path), id).id == id


def test_openai_wants_its_own_name_for_the_limit(tmp_path: Path) -> None:
    assert model(settings(tmp_path, "https://api.openai.com/v1"), "gpt-5.1").limit_field == "max_completion_tokens"
    assert model(settings(tmp_path), "gpt-5.1").limit_field == "max_tokens"


def test_hosts() -> None:
    assert is_opencode(GO_URL) and is_opencode("https://x.opencode.ai/v1")
    assert not is_opencode("https://notopencode.ai/v1") and not is_opencode("http://opencode.ai.evil.example/v1")
    assert host("http://[::1]:80/v1") == "::1"


@pytest.mark.parametrize("url", ["", "x", "ftp://x/v1", "http://", "http://[::1", "127.0.0.1:4010/v1"])
def test_what_is_no_url_says_so(url: str) -> None:
    with pytest.raises(UsageError, match="is not a URL"):
        host(url)
