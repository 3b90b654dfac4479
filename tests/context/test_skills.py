"""Skills and prompt templates: which are found and in what order, heads as people write them, arguments filled in."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nanocode.context import skills
from nanocode.context.files import Reader
from nanocode.context.frontmatter import by_lines, split
from nanocode.context.skills import Skill, Template, fill, listed
from nanocode.settings import Settings

HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "yaml": ("name: x\nmetadata:\n  version: 2", {"name": "x", "metadata": {"version": 2}}),
    "folded": ("description: >-\n  one\n  two", {"description": "one two"}),
    "a colon in a value": (
        "description: Use when: baking, or: frying\nname: x",
        {"description": "Use when: baking, or: frying", "name": "x"},
    ),
    "a colon and a folded value": (
        "when: at: noon\ndescription: >-\n  one: two\n  three",
        {"when": "at: noon", "description": "one: two three"},
    ),
    "a colon and a word that is no text": (
        "description: a: b\ndisable-model-invocation: true",
        {"description": "a: b", "disable-model-invocation": True},
    ),
    "quotes": ("description: 'a: b'\nwhy: c: \"d\"", {"description": "a: b", "why": 'c: "d"'}),
    "a bracket that is not closed": ("argument-hint: [file", {"argument-hint": "[file"}),
    "no fields": ("just words", {}),
    "nothing": ("", {}),
}


@pytest.mark.parametrize("case", HEADS)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_head_is_read_as_it_was_meant(case: str, end: str) -> None:
    head, fields = HEADS[case]
    text = f"---\n{head}\n---\nbody\n---\nmore\n".replace("\n", end)
    assert split(text) == (fields, f"body{end}---{end}more{end}")


@pytest.mark.parametrize("text", ["", "body", "--\na: b\n---\n", "---\na: b\nbody", " ---\na: b\n---\n"])
def test_what_has_no_head_is_all_body(text: str) -> None:
    assert split(text) == ({}, text)


words = st.from_regex(r"[a-z]{1,6}( [a-z]{1,6}){0,3}", fullmatch=True).filter(
    lambda text: isinstance(yaml.safe_load(text), str)
)


@given(st.dictionaries(st.from_regex(r"[a-z]{3,8}(-[a-z]{2,4})?", fullmatch=True), words, min_size=1))
def test_line_by_line_gives_what_yaml_gives_where_both_can(fields: dict[str, str]) -> None:
    fields = {name: value for name, value in fields.items() if isinstance(yaml.safe_load(name), str)}
    head = "".join(f"{name}: {value}\n" for name, value in fields.items())
    assert by_lines(head) == (yaml.safe_load(head) or {})


def put(path: Path, description: str = "", **fields: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    path.write_text(f"---\n{head}" + (f"description: {description}\n" if description else "") + "---\nDo it.\n")


def found(root: Path) -> tuple[dict[str, Skill], list[str]]:
    settings, reader = Settings(root / "repo" / "sub", root / "home", {}, root / "home" / ".nanocode"), Reader()
    return skills.skills(settings, reader), reader.warnings


def test_the_nearest_skill_of_a_name_wins_and_the_others_are_told(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    places = [
        "repo/sub/.nanocode/skills",
        "repo/sub/.agents/skills",
        "repo/.nanocode/skills",
        "repo/.agents/skills",
        "home/.nanocode/skills",
        "home/.agents/skills",
    ]
    for number, place in enumerate(places):
        put(tmp_path / place / "same" / "SKILL.md", f"number {number}")
        put(tmp_path / place / f"own{number}" / "SKILL.md", f"own {number}")
    put(tmp_path / ".nanocode/skills/above/SKILL.md", "above the repository")
    kept, warnings = found(tmp_path)
    described = {each.name: each.description for each in kept.values()}
    assert described == {"same": "number 0", **{f"own{number}": f"own {number}" for number in range(6)}}
    assert len(warnings) == 5 and all("`same`" in each and "is hidden by" in each for each in warnings)


@pytest.mark.parametrize("written", ["*j", "*loop", "[a, b]", "{a: b}"])
def test_a_name_that_is_no_word_is_that_of_the_file(written: str, tmp_path: Path) -> None:
    # `j` would be 9 to the power of 9 words, and `loop` holds itself.
    bomb = "".join(f"{below}: &{above} [{', '.join([f'*{below}'] * 9)}]\n" for below, above in pairwise("abcdefghij"))
    head = f"x: &a [x]\n{bomb}y: &loop [*loop]\n"
    for place, field in (
        ("skills/bake/SKILL.md", f"description: Bakes.\nname: {written}"),
        (
            "prompts/bake.md",
            f"description: {written}",
        ),
    ):
        path = tmp_path / ".nanocode" / place
        path.parent.mkdir(parents=True)
        path.write_text(f"---\n{head}{field}\n---\nBake it.")
    settings = Settings(tmp_path, tmp_path / "home", {}, directory=tmp_path / "home" / ".nanocode")
    assert [each.name for each in skills.skills(settings, Reader()).values()] == ["bake"]
    assert [each.description for each in skills.templates(settings, Reader()).values()] == ["Bake it."]


def test_a_head_too_deep_for_yaml_is_read_by_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert split(f"---\nname: bake\nmore: {'[' * 3000}\n---\n")[0]["name"] == "bake"


def test_loose_files_are_skills_in_nanocode_s_own_folders_only(tmp_path: Path) -> None:
    for place in ("repo/sub/.nanocode", "repo/sub/.agents", "home/.nanocode", "home/.agents"):
        put(tmp_path / place / "skills" / f"{place.replace('/', '-').replace('.', '')}.md", "loose")
    assert sorted(found(tmp_path)[0]) == ["home-nanocode", "repo-sub-nanocode"]


def test_broken_and_odd_skills_are_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "repo/sub/.nanocode/skills"
    put(folder / "mute" / "SKILL.md", name="mute")
    put(folder / "one" / "SKILL.md", "d", name="other")
    put(folder / "Bad_Name" / "SKILL.md", "d")
    put(folder / "long" / "SKILL.md", "d" * 1025)
    put(folder / "by-hand" / "SKILL.md", "only when told", disable_model_invocation="true")
    (folder / "empty").mkdir()
    kept, warnings = found(tmp_path)
    assert sorted(kept) == ["Bad_Name", "by-hand", "long", "other"] and len(kept["long"].description) == 1024
    said = "\n".join(sorted(warnings))
    assert len(warnings) == 4
    assert "no `description`" in said and "should be that of its folder, `one`" in said
    assert "lower-case words" in said and "longer than 1024 characters" in said
    told = listed(kept)
    assert "- other: d" in told and "by-hand" not in told


FILLED = {
    ("fix $1 in $2", "a b"): "fix a in b",
    ("fix $1 in $2", '"a b" c'): "fix a b in c",
    ("fix $1 in $2", "it's b"): "fix it's in b",
    ("fix $1 in $2", "a"): "fix a in ",
    ("all: $ARGUMENTS; $@", 'a "b c"'): 'all: a "b c"; a "b c"',
    ("plain", ""): "plain",
    ("plain", "a b"): "plain\n\na b",
    ("$1 costs $ARGUMENTS", "$2 $1"): "$2 costs $2 $1",
    ("$0 and $HOME", "x"): "$0 and $HOME\n\nx",
}


@pytest.mark.parametrize(("text", "arguments"), FILLED)
def test_arguments_fill_a_template(text: str, arguments: str) -> None:
    assert fill(Template("t", "", text, Path("t.md")), arguments) == FILLED[text, arguments]
