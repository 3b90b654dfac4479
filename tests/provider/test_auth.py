"""Where the key comes from, and that nothing else than a good entry is taken."""

import json
from pathlib import Path

import pytest

from nanocode.errors import UsageError
from nanocode.provider import auth
from nanocode.settings import GO_URL, Settings

API = {"type": "api", "key": "sk-opencode"}


def settings(tmp_path: Path, url: str = GO_URL, **environ: str) -> Settings:
    return Settings(cwd=tmp_path, home=tmp_path, environ=environ, base_url=url)


def found(tmp_path: Path, content: object, **environ: str) -> auth.Key | None:
    text = content if isinstance(content, str) else json.dumps(content)
    try:
        return auth.find(settings(tmp_path, OPENCODE_AUTH_CONTENT=text, **environ))
    except UsageError:
        return None


def test_the_variables_come_in_order_and_win_over_the_file(tmp_path: Path) -> None:
    names = ["OPENCODE_API_KEY", "OPENCODE_GO_API_KEY", "OPENAI_API_KEY"]
    for place, name in enumerate(names):
        key = found(tmp_path, {"opencode-go": API}, **{each: f"value of {each}" for each in names[place:]})
        assert key == auth.Key(f"value of {name}", f"`{name}`")


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    key = found(tmp_path, {"opencode-go": API}, OPENCODE_API_KEY=" ", OPENAI_API_KEY="")
    assert key and key.value == "sk-opencode"


@pytest.mark.parametrize(
    ("entries", "value"),
    [
        ({"opencode-go": API, "opencode": {**API, "key": "other"}}, "sk-opencode"),
        ({"opencode": API}, "sk-opencode"),
        ({"opencode-go/": API}, "sk-opencode"),
        ({"opencode-go": {"type": "oauth", "access": "x"}, "opencode": API}, "sk-opencode"),
        ({"opencode-go": {"type": "api"}, "opencode": API}, "sk-opencode"),
        ({"opencode-go": {"type": "api", "key": ["x"]}, "opencode": "x"}, None),
        ({"anthropic": API}, None),
        ([API], None),
        ("{not json", None),
    ],
)
def test_of_opencodes_entries_the_first_good_one_is_taken(tmp_path: Path, entries: object, value: str | None) -> None:
    key = found(tmp_path, entries)
    assert (key and key.value) == value


@pytest.mark.parametrize("variable", ["", "XDG_DATA_HOME", "OPENCODE_AUTH_JSON"])
def test_the_file_is_where_opencode_keeps_it_or_where_a_variable_says(tmp_path: Path, variable: str) -> None:
    data = tmp_path / "data" if variable == "XDG_DATA_HOME" else tmp_path / ".local" / "share"
    path = tmp_path / "auth.json" if variable == "OPENCODE_AUTH_JSON" else data / "opencode" / "auth.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"opencode": API}))
    environ = {variable: str(path if variable == "OPENCODE_AUTH_JSON" else data)} if variable else {}
    key = auth.find(settings(tmp_path, **environ))
    assert key == auth.Key("sk-opencode", f"`{path}` (opencode)")
    assert path.read_text() == json.dumps({"opencode": API}), "the file is never written"


def test_opencodes_key_is_for_opencode_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no API key") as caught:
        auth.find(settings(tmp_path, "http://127.0.0.1:1/v1", OPENCODE_AUTH_CONTENT=json.dumps({"opencode": API})))
    assert "set OPENAI_API_KEY (any word" in caught.value.hint and "--demo" in caught.value.hint


def test_a_key_does_not_show_in_a_repr() -> None:
    assert "secret" not in repr(auth.Key("secret", "`X`"))
