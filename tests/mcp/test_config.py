"""What the configuration files of several editors mean, and what is said about those that are wrong."""

from pathlib import Path
from typing import Any

import pytest

from nanocode.mcp.config import Config, Server, load

ENVIRON = {"TOKEN": "t0k", "EMPTY": "", "HOME": "/home/me"}


def loaded(folder: Path, *texts: str) -> Config:
    """The configuration of these file contents, farthest first."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(text, "utf-8")
    return load([folder / "missing.json", *paths], ENVIRON, folder)


def only(config: Config) -> Server:
    assert not config.warnings
    (server,) = config.servers.values()
    return server


def test_both_shapes_are_read_with_comments_and_trailing_commas(tmp_path: Path) -> None:
    claude = '{"mcpServers": {"a": {"command": "one", "args": ["-x", 3],},}, // mine\n}'
    code = '{"inputs": [], "servers": {"b": {"type": "http", "url": "https://b.example/mcp"}}}'
    config = loaded(tmp_path, claude, code)
    assert not config.warnings
    assert config.servers == {
        "a": Server("a", "stdio", command="one", args=("-x", "3"), shown="one -x 3"),
        "b": Server("b", "http", url="https://b.example/mcp", shown="https://b.example/mcp"),
    }


KINDS = [
    ('{"command": "x"}', "stdio"),
    ('{"url": "https://x.example"}', ""),
    ('{"url": "https://x.example", "type": "sse"}', "sse"),
    ('{"url": "https://x.example", "transport": "streamable-http"}', "http"),
    ('{"command": "x", "url": "https://x.example", "type": "http"}', "http"),
]


@pytest.mark.parametrize(("entry", "transport"), KINDS)
def test_the_transport_is_named_or_follows_from_what_is_there(tmp_path: Path, entry: str, transport: str) -> None:
    assert only(loaded(tmp_path, f'{{"servers": {{"a": {entry}}}}}')).transport == transport


def test_variables_expand_in_env_headers_args_and_url(tmp_path: Path) -> None:
    entry = """{"url": "https://${HOST:-x.example}/${EMPTY:-mcp}?k=${TOKEN}", "headers": {"X-Key": "$env:TOKEN"},
        "env": {"A": "${env:TOKEN}"}, "args": ["${workspaceFolder}/a"], "envHeaders": {"X-Two": "TOKEN"},
        "apiKeyEnv": "TOKEN", "oauth": {"clientId": "i", "clientSecret": "${TOKEN}", "callbackPort": 8080}}"""
    server = only(loaded(tmp_path, f'{{"mcpServers": {{"a": {entry}}}}}'))
    assert server.url == "https://x.example/mcp?k=t0k"
    assert server.headers == {"X-Key": "t0k", "X-Two": "t0k", "Authorization": "Bearer t0k"}
    assert (server.env, server.args) == ({"A": "t0k"}, (f"{tmp_path}/a",))
    assert server.oauth == {"clientId": "i", "clientSecret": "t0k", "callbackPort": "8080"}
    assert "t0k" not in repr(server) and "${TOKEN}" in server.shown


def test_a_missing_variable_drops_the_entry_and_says_so(tmp_path: Path) -> None:
    config = loaded(tmp_path, '{"mcpServers": {"a": {"command": "x", "args": ["${NO}"]}, "b": {"command": "y"}}}')
    assert list(config.servers) == ["b"]
    assert config.warnings == ("MCP server `a` is ignored: the variable `NO` is not set",)


def test_a_nearer_file_adds_changes_and_takes_away(tmp_path: Path) -> None:
    far = '{"mcpServers": {"a": {"command": "x", "env": {"K": "1", "L": "2"}}, "b": {"command": "y"}}}'
    near = '{"mcpServers": {"a": {"env": {"K": null, "M": "3"}, "timeoutMs": 500}, "b": null, "c": {"command": "z"}}}'
    config = loaded(tmp_path, far, near)
    assert list(config.servers) == ["a", "c"]
    assert (config.servers["a"].env, config.servers["a"].call_seconds) == ({"L": "2", "M": "3"}, 0.5)


def test_a_nearer_address_does_not_inherit_the_secrets_of_a_farther_one(tmp_path: Path) -> None:
    far = '{"mcpServers": {"a": {"url": "https://mine.example", "headers": {"Authorization": "${TOKEN}"}}}}'
    config = loaded(tmp_path, far, '{"mcpServers": {"a": {"url": "https://theirs.example"}}}')
    assert only(config).headers == {}


def test_servers_can_be_switched_off_and_narrowed(tmp_path: Path) -> None:
    text = """{"mcpServers": {"off": {"command": "x", "disabled": true}, "out": {"command": "x", "enabled": false},
        "a": {"command": "x", "enabledTools": ["one", "two"], "excludeTools": ["two"], "selectedTools": "*"}}}"""
    config = loaded(tmp_path, text)
    assert (list(config.servers), config.disabled) == (["a"], ("off", "out"))
    server = config.servers["a"]
    assert [server.offers(tool) for tool in ("one", "two", "three")] == [True, False, False]
    assert [server.selects(tool) for tool in ("one", "two")] == [True, False]


WRONG: list[tuple[str, str]] = [
    ('{"mcpServers": {\n  "a": {"command": }}}', "line 2, column 20"),
    ("[1]", "one JSON object"),
    ('{"mcpServers": []}', "`mcpServers` must be an object"),
    ('{"mcpServers": {"a": 1}}', "must be an object"),
    ('{"mcpServers": {"a": {}}}', "neither `command` nor `url`"),
    ('{"mcpServers": {"a": {"type": "stdio", "url": "https://x"}}}', "no `command`"),
    ('{"mcpServers": {"a": {"type": "carrier-pigeon", "url": "https://x"}}}', "carrier-pigeon"),
    ('{"mcpServers": {"a": {"url": "ftp://x"}}}', "http://"),
    ('{"mcpServers": {"a": {"command": ["x"]}}}', "`command` must be a text"),
    ('{"mcpServers": {"a": {"command": "x", "args": {"b": 1}}}}', "`args` must be a list"),
    ('{"mcpServers": {"a": {"command": "x", "env": {"b": []}}}}', "`env` must be an object of texts"),
    ('{"mcpServers": {"a": {"command": "x", "timeoutMs": "long"}}}', "`timeoutMs` must be a number"),
    ('{"mcpServers": {"a": {"command": "x", "colour": "red"}}}', "unknown key `colour`"),
    ('{"mcpServers": {"a": {"command": "x", "oauth": {"colour": "red"}}}}', "unknown key `oauth.colour`"),
    ('{"mcpServers": {"a": {"command": "x", "oauth": {"grant": "password"}}}}', "`client_credentials` only"),
    (
        '{"mcpServers": {"a": {"command": "x", "oauth": {"grant": "client_credentials", "clientId": "i"}}}}',
        "needs `oauth.clientSecret`",
    ),
    (
        '{"mcpServers": {"a": {"url": "http://x", "oauth": {"grant": "identity_assertion", "clientId": "i",'
        ' "privateKey": "p", "clientSecret": "s", "issuer": "http://y"}}}}',
        "needs `oauth.idToken`",
    ),
    ('{"mcpServers": {"a": {"command": "x", "oauth": {"callbackPort": "http"}}}}', "`oauth.callbackPort`"),
    ('{"mcpServers": {"a": {"command": "x", "oauth": {"clientMetadataUrl": "http://x"}}}}', "https://"),
    ('{"servres": {}}', "unknown key `servres`"),
    ("[" * 5000, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_named_and_the_other_files_stand(tmp_path: Path, text: str, words: str) -> None:
    config = loaded(tmp_path, '{"mcpServers": {"good": {"command": "x"}}}', text)
    assert "good" in config.servers
    (warning,) = config.warnings
    assert words in warning


def test_a_folder_in_a_files_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").mkdir()
    (warning,) = load([tmp_path / "mcp.json"], {}, tmp_path).warnings
    assert "directory" in warning


TIMEOUTS: list[tuple[str, Any]] = [('"timeoutMs": 250', 0.25), ('"timeout": 45', 45), ('"timeout": 30000', 30), ("", 0)]


@pytest.mark.parametrize(("key", "seconds"), TIMEOUTS)
def test_timeouts_are_milliseconds_unless_that_makes_no_sense(tmp_path: Path, key: str, seconds: float) -> None:
    comma = ", " if key else ""
    assert only(loaded(tmp_path, f'{{"servers": {{"a": {{"command": "x"{comma}{key}}}}}}}')).call_seconds == seconds


def test_an_untrusted_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mcp.json").write_text('{"mcpServers": {"a": {"command": "x"}}}')
    config = load([tmp_path / "mcp.json"], {}, tmp_path, lambda path, content: False)
    assert not config.servers and not config.warnings
