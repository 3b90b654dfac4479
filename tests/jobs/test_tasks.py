"""Tasks from files and globs, their ids, and shards that cover each task once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.errors import UsageError
from nanocode.jobs.tasks import Task, each, part, read, shard


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_a_task_has_what_its_line_says(tmp_path: Path) -> None:
    line = '{"id": 7, "task": "go", "cwd": "a", "model": "m", "tools": ["read", "ls"], "timeout": 5, "system": null}'
    assert read(written(tmp_path, "", line)) == [Task("7", "go", "a", "m", "read,ls", "", 5)]


def test_a_task_without_an_id_is_known_again_by_its_content(tmp_path: Path) -> None:
    one, two, again = read(written(tmp_path, '{"prompt": "a"}', '{"prompt": "b"}', '{"prompt": "a"}'))
    assert again.id == f"{one.id}-2" and len({one.id, two.id, again.id}) == 3
    other = read(written(tmp_path, '{"prompt": "new"}', '{"prompt": "b"}', '{"prompt": "a"}'))
    assert {task.id for task in other} > {one.id, two.id}
    assert one.digest != Task(one.id, "b").digest


WRONG = {
    "{": "line 1 of `tasks.jsonl` is not JSON",
    "[]": "is not a JSON object",
    "{}": "has no `prompt`",
    '{"prompt": " "}': "has no `prompt`",
    '{"prompt": 5}': "`prompt` in line 1",
    '{"prompt": "a", "timeout": "soon"}': "must be seconds",
    '{"prompt": "a", "timeout": true}': "must be seconds",
    '{"prompt": "a", "colour": "red"}': "unknown field `colour`",
    '{"prompt": "a", "id": "x"}\n{"prompt": "b", "id": "x"}': "two tasks have the id `x`",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=WRONG[text].replace("`", ".")) as caught:
        read(written(tmp_path, text))
    assert caught.value.hint


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "no.jsonl")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200), unique=True, max_size=5))
def test_names_are_file_names_and_differ_as_ids_do(ids: list[str]) -> None:
    names = [Task(id, "p").name for id in ids]
    assert len(set(names)) == len(ids)
    assert all("/" not in name and "\0" not in name and len(f"{name}.json".encode()) < 255 for name in names)


def test_one_task_for_each_file_in_path_order(tmp_path: Path) -> None:
    for name in ("src/b.py", "src/deep/a.py", "src/skip.txt", "top.py", "out/ignored.py", ".git/HEAD"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text("out/\n")
    found = each("**/*.py", "review {path} ({name}, {stem}, {dir}) as {json}", tmp_path)
    assert [task.id for task in found] == ["src/b.py", "src/deep/a.py", "top.py"]
    assert found[1].prompt == "review src/deep/a.py (a.py, a, src/deep) as {json}"
    assert [task.id for task in each("*.py", "{path}", tmp_path)] == ["top.py"]
    with pytest.raises(UsageError, match="no file fits"):
        each("*.rs", "{path}", tmp_path)


@given(st.integers(0, 200), st.integers(1, 12))
def test_shards_cover_every_task_once(total: int, count: int) -> None:
    tasks = [Task(str(number), "p") for number in range(total)]
    parts = [part(tasks, *shard(f"{index}/{count}", {})) for index in range(1, count + 1)]
    assert sorted((task for each in parts for task in each), key=lambda task: int(task.id)) == tasks
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"}
SHARDS: list[tuple[str, dict[str, str], tuple[int, int]]] = [
    ("", {}, (0, 1)),
    ("2/3", {}, (1, 3)),
    ("", SLURM | {"SLURM_ARRAY_TASK_STEP": "2"}, (3, 4)),
    ("8", SLURM, (6, 8)),
    ("1/1", SLURM, (0, 1)),
    ("5", {"JOB_COMPLETION_INDEX": "4"}, (4, 5)),
    ("5", {"JOB_COMPLETION_INDEX": "0"}, (0, 5)),
]


@pytest.mark.parametrize(("asked", "environ", "expected"), SHARDS)
def test_a_shard_comes_from_the_flag_or_the_array(
    asked: str, environ: dict[str, str], expected: tuple[int, int]
) -> None:
    assert shard(asked, environ) == expected


WRONG_SHARDS = [
    ("0/3", {}),
    ("4/3", {}),
    ("a/b", {}),
    ("5", {}),
    ("x", {}),
    ("-1", {}),
    ("", {"JOB_COMPLETION_INDEX": "2"}),
]


@pytest.mark.parametrize(("asked", "environ"), WRONG_SHARDS)
def test_what_is_no_part_of_a_whole_is_refused(asked: str, environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="no part of a whole"):
        shard(asked, environ)
