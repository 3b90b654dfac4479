"""The exact counter: only for OpenAI's models, only from a file that is there and as published, never downloaded."""

import hashlib
import sys
from pathlib import Path

import pytest

from nanocode.agent import vocabulary

CASES = [
    ("gpt-4o", "o200k_base"),
    ("openai/gpt-5.2-codex", "o200k_base"),
    ("gpt-4.1-mini", "o200k_base"),
    ("o3", "o200k_base"),
    ("gpt-4", "cl100k_base"),
    ("gpt-4-turbo", "cl100k_base"),
    ("gpt-3.5-turbo", "cl100k_base"),
    ("kimi-k2.6", ""),
    ("glm-5.2", ""),
    ("olmo-2", ""),
]


@pytest.mark.parametrize(("model", "name"), CASES)
def test_which_encoding_a_model_has(model: str, name: str) -> None:
    assert vocabulary.encoding(model) == name


def test_without_a_file_there_is_none_and_nothing_is_loaded(tmp_path: Path) -> None:
    assert vocabulary.load("gpt-4o", {"TIKTOKEN_CACHE_DIR": str(tmp_path)}) is None


@pytest.mark.skipif("tiktoken" in sys.modules, reason="another test has loaded it")
def test_a_file_that_is_not_as_published_is_left_alone(tmp_path: Path) -> None:
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    file = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    file.write_bytes(b"IQ== 0\n")
    environ = {"TIKTOKEN_CACHE_DIR": str(tmp_path)}
    assert vocabulary.on_disk("o200k_base", environ) is None
    assert vocabulary.load("gpt-4o", environ) is None
    assert file.read_bytes() == b"IQ== 0\n" and "tiktoken" not in sys.modules
