"""A session file: what goes in comes back, wherever a crash or a full disk cut it."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocode.agent.repair import LOST, repaired
from nanocode.errors import UsageError
from nanocode.events import Compacted, Event, JobChanged, MessageAdded, RunEnded, RunStarted, UsageReported
from nanocode.guard.secrets import Redactor
from nanocode.messages import Assistant, Call, Image, Message, ToolAnswer, Usage, User
from nanocode.store.transcript import NAME_WINDOW, Transcript, read, title

HEADER = {"id": "abc", "cwd": "/work"}
TALK: tuple[Message, ...] = (
    User("look at\nthis", (Image("image/png", "aGk="),)),
    Assistant("I look", "hm", (Call("1", "read", '{"path": "a"}'), Call("2", "read", '{"path": "b"}')), Usage(5, 2, 1)),
    ToolAnswer("1", "read", "   1| a"),
    ToolAnswer("2", "read", "no such file", failed=True),
    Assistant("done", usage=Usage(9, 1)),
)


def events(messages: tuple[Message, ...] = TALK) -> list[Event]:
    added: list[Event] = [MessageAdded(message) for message in messages]
    spent: list[Event] = [UsageReported(Usage(5, 2, 1), 0.25), UsageReported(Usage(9, 1), 0.5)]
    return [RunStarted("m"), *added, *spent, RunEnded("done", messages, "done", Usage(14, 3, 1), 0.75)]


def written(path: Path, **options: Any) -> Path:
    transcript = Transcript(path, dict(HEADER), **options)
    for event in events():
        transcript(event)
    transcript.close()
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    saved = read(written(tmp_path / "t_abc.jsonl").read_bytes())
    assert tuple(saved.messages) == tuple(saved.view) == TALK
    assert (saved.usage, saved.cost, saved.turns, saved.skipped) == (Usage(14, 3, 1), 0.75, 2, 0)
    assert saved.header == HEADER | {"model": "m", "title": "look at this"}


def test_a_compaction_changes_the_view_and_loses_no_message(tmp_path: Path) -> None:
    path = tmp_path / "t_abc.jsonl"
    transcript = Transcript(path, dict(HEADER))
    head = (User("a summary"), TALK[-1])
    for event in (*events()[:-1], Compacted(900, 100, "a summary", head), MessageAdded(User("next"))):
        transcript(event)
    transcript.close()
    saved = read(path.read_bytes())
    assert tuple(saved.view) == (*head, User("next"))
    assert tuple(saved.messages) == (*TALK, User("next"))


def test_what_a_job_used_is_kept_once_and_is_no_turn_of_ours(tmp_path: Path) -> None:
    job = JobChanged("nano-1", "running", "go", True, "bash: ls", 1.0)
    transcript = Transcript(tmp_path / "a.jsonl", dict(HEADER))
    # One that an earlier conversation started may end before this one begins.
    for event in (replace(job, state="done", usage=Usage(50)), *events(), job):
        transcript(event)
    transcript(replace(job, state="failed", usage=Usage(100, 10), cost=0.25))
    transcript.close()
    saved = read((tmp_path / "a.jsonl").read_bytes())
    assert (saved.usage, saved.cost, saved.turns, saved.skipped) == (Usage(114, 13, 1), 1.0, 2, 0)


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    path = written(tmp_path / "a" / "b" / "t_abc.jsonl")
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


def test_nothing_is_written_before_the_first_message(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "t_abc.jsonl", dict(HEADER))
    transcript(RunStarted("m"))
    transcript(RunEnded("", (), "failed", Usage(), None))
    assert not list(tmp_path.iterdir())


def test_a_cut_at_any_byte_leaves_a_valid_beginning(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl")
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for length in range(header, len(whole) + 1):
        path.write_bytes(whole[:length])
        transcript = Transcript.resume(path)
        kept = transcript.saved.messages
        complete = [line for line in whole[:length].split(b"\n")[1:-1] if b'"type":"message"' in line]
        assert kept == list(TALK[: len(complete)])
        assert path.stat().st_size == whole[:length].rfind(b"\n") + 1
        view = repaired(kept)
        calls = [call.id for each in view if isinstance(each, Assistant) for call in each.calls]
        assert [each.call_id for each in view if isinstance(each, ToolAnswer)] == calls
        transcript.close()


def test_after_a_torn_tail_the_session_goes_on(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl")
    with open(path, "ab") as file:
        file.write(b'{"type":"message","id":99,"ro')
    transcript = Transcript.resume(path)
    transcript(MessageAdded(User("more")))
    transcript.close()
    saved = read(path.read_bytes())
    assert tuple(saved.messages) == (*TALK, User("more"))
    assert saved.skipped == 0


WRONG_TYPES = [
    (1, "text", 5),
    (1, "images", [{"mime": 1, "data": "aGk="}]),
    (2, "reasoning", ["hm"]),
    (2, "calls", [{"id": {}, "name": "read", "arguments": "{}"}]),
    (2, "calls", [{"id": "1", "name": "read", "arguments": {}}]),
    (3, "call_id", ["1"]),
    (3, "text", None),
]


@pytest.mark.parametrize(("number", "name", "value"), WRONG_TYPES)
def test_a_record_whose_values_are_of_another_kind_costs_that_record_only(
    number: int, name: str, value: Any, tmp_path: Path
) -> None:
    lines = written(tmp_path / "t_abc.jsonl").read_bytes().splitlines()
    record = json.loads(lines[number])
    assert name in record
    lines[number] = json.dumps(record | {name: value}).encode()
    saved = read(b"\n".join(lines) + b"\n")
    assert saved.skipped == 1 and len(saved.messages) == len(TALK) - 1
    assert repaired(saved.view)


def test_a_last_record_whose_id_has_no_end_costs_that_record_only(tmp_path: Path) -> None:
    saved = read(written(tmp_path / "t_abc.jsonl").read_bytes() + b'{"type":"end","id":1e400}\n')
    assert saved.skipped == 1 and tuple(saved.messages) == TALK


def test_a_broken_line_in_the_middle_costs_that_line_only(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl")
    lines = path.read_bytes().split(b"\n")
    lines[2] = lines[2][:40]
    saved = read(b"\n".join(lines))
    assert saved.messages == [TALK[0], *TALK[2:]]
    assert saved.skipped == 1
    assert repaired(saved.view) == (TALK[0], TALK[4]), "answers without their call are not sent"


def test_a_fork_goes_on_from_its_parent(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl")
    record = {"type": "message", "id": 99, "parentId": 1, "role": "user", "text": "another way"}
    with open(path, "a") as file:
        file.write(json.dumps(record) + "\n")
    assert read(path.read_bytes()).view == [TALK[0], User("another way")]


def test_a_rewind_goes_on_from_an_earlier_record_also_from_before_a_compaction(tmp_path: Path) -> None:
    path = tmp_path / "t_abc.jsonl"
    transcript = Transcript(path, dict(HEADER))
    for event in (*events(), MessageAdded(User("and now?")), Compacted(900, 100, "", (User("a summary"),))):
        transcript(event)
    saved = read(path.read_bytes())
    assert saved.messages == [*TALK, User("and now?")] and saved.view == [User("a summary")]
    assert transcript.rewind(transcript.data(), saved.parents[-1]) == list(TALK)
    assert read(path.read_bytes()).view == list(TALK), "a crash right behind it loses nothing of it"
    transcript(MessageAdded(User("another way")))
    transcript.close()
    again = Transcript.resume(path)
    assert again.saved.view == [*TALK, User("another way")]
    assert again.rewind(again.data(), saved.parents[0]) == []
    again(MessageAdded(User("from the start")))
    again.close()
    saved = read(path.read_bytes())
    assert saved.view == saved.messages == [User("from the start")]
    assert (saved.turns, saved.usage, saved.header["title"]) == (2, Usage(14, 3, 1), "look at this"), "spent is spent"


def test_a_session_begins_with_messages_of_another(tmp_path: Path) -> None:
    path = tmp_path / "t_def.jsonl"
    new = Transcript(path, {"id": "def", "cwd": "/work"}, redact=lambda line: line.replace(b"such", b"****"))
    new.begin(TALK, "m", "fork of look")
    new(MessageAdded(User("on")))
    new.close()
    saved = read(path.read_bytes())
    assert saved.view == [*TALK[:3], replace(TALK[3], text="no **** file"), TALK[4], User("on")]
    assert saved.name == "fork of look"
    assert saved.header == {"id": "def", "cwd": "/work", "model": "m", "title": "look at this"}
    assert (saved.usage, saved.turns) == (Usage(), 0)


def test_a_name_given_before_the_first_message_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "t_abc.jsonl"
    transcript = Transcript(path, dict(HEADER))
    transcript.rename("work")
    assert not path.exists()
    transcript(MessageAdded(User("hi")))
    transcript.close()
    saved = read(path.read_bytes())
    assert (saved.view, saved.name, saved.skipped) == ([User("hi")], "work", 0)


def test_what_could_not_be_written_is_taken_back_too(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.write_text("in the way")
    transcript = Transcript(folder / "t_abc.jsonl", dict(HEADER))
    for event in (*events(), MessageAdded(User("and now?"))):
        transcript(event)
    data = transcript.data()
    assert transcript.rewind(data, read(data).parents[-1]) == list(TALK)
    folder.unlink()
    transcript(MessageAdded(User("another way")))
    transcript.close()
    assert read((folder / "t_abc.jsonl").read_bytes()).view == [*TALK, User("another way")]


records = st.lists(
    st.tuples(
        st.sampled_from(["message", "message", "compaction", "usage", "name", "torn", "odd"]),
        # How many records back the parent is, and whether it is one that was never written.
        st.sampled_from([1, 1, 1, 1, 2, 3]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
)


@given(records)
def test_forks_lost_parents_and_torn_lines_give_the_chain_that_a_plain_reading_gives(
    drawn: list[tuple[str, int, bool]],
) -> None:
    """Ids are the even numbers, so that each odd one names a record that was lost."""
    lines, places, parents = [json.dumps({"type": "session", "version": 1, **HEADER})], [-1], {}
    for number, (kind, back, lost) in enumerate(drawn, 1):
        place = max(len(places) - back, 0)
        parent: int | None = places[place] + lost
        about = {"type": kind, "id": 2 * number, "parentId": None if parent == -1 else parent}
        said = {"role": "user", "text": f"say {number}"}
        fields: dict[str, Any] = {
            "message": said,
            "compaction": {"messages": [{"role": "user", "text": f"sum {number}"}]},
            "usage": {"usage": {"input": number, "output": 1, "cached": 0}, "cost": 0.5},
            "name": {"name": f"name {number}"},
        }.get(kind, {})
        line = json.dumps(about | fields, separators=(",", ":"))
        lines.append(line[:-1] if kind == "torn" else line)
        if kind != "torn":
            parents[2 * number] = places[place]
            places.append(2 * number)
    data = ("\n".join(lines) + "\n").encode()

    chain, at = [], places[-1]
    while at != -1:
        chain.append(at // 2)
        at = parents[at]
    chain.reverse()
    kinds = {number: kind for number, (kind, *_) in enumerate(drawn, 1)}
    view: list[str] = []
    for number in chain:
        if kinds[number] == "compaction":
            view = [f"sum {number}"]
        elif kinds[number] == "message":
            view.append(f"say {number}")
    for place in places:
        # As though a record behind all others went on from there.
        on = json.dumps({"type": "usage", "id": 999, "parentId": None if place == -1 else place})
        until = read(data, until=place)
        assert (until.messages, until.view) == ((then := read(data + f"{on}\n".encode())).messages, then.view)
    whole, brief = read(data), read(data, brief=True)
    assert [each.text for each in whole.view] == [each.text for each in brief.view] == view
    assert [each.text for each in whole.messages] == [f"say {n}" for n in chain if kinds[n] == "message"]
    assert whole.messages[len(whole.messages) - len(brief.messages) :] == brief.messages
    spent = [number for number, kind in kinds.items() if kind == "usage"]
    names = [f"name {number}" for number, kind in kinds.items() if kind == "name"]
    for saved in (whole, brief):
        assert saved.usage == Usage(sum(spent), len(spent)) and saved.cost == 0.5 * len(spent)
        assert (saved.turns, saved.name) == (len(spent), names[-1] if names else "")
        assert saved.last_id == (places[-1] if places[-1] != -1 else None)
        assert saved.skipped == sum(kind == "torn" for kind in kinds.values())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"{}\n",
        b"no json\n",
        b'{"type":"session"}\n',
        b'{"type":"session","version":1}\n',
        b'{"type":"session","version":99}\n',
        b"[]\n",
    ],
)
def test_what_is_no_session_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t_abc.jsonl"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is not a session"):
        Transcript.resume(path)
    assert path.read_bytes() == data


def test_a_session_is_open_once(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl")
    first = Transcript.resume(path)
    with pytest.raises(UsageError, match="`abc` is open in another nanocode"):
        Transcript.resume(path)
    first.close()
    Transcript.resume(path).close()


def test_lines_that_cannot_be_written_wait_with_one_warning(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.write_text("in the way")
    said: list[str] = []
    transcript = Transcript(folder / "t_abc.jsonl", dict(HEADER), warn=said.append)
    for event in events()[:4]:
        transcript(event)
    assert len(said) == 1 and "not saved" in said[0]
    folder.unlink()
    for event in events()[4:]:
        transcript(event)
    transcript.close()
    assert len(said) == 2 and "saved again" in said[1]
    assert tuple(read((folder / "t_abc.jsonl").read_bytes()).messages) == TALK


def test_secrets_stay_out_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "t_abc.jsonl", redact=lambda line: line.replace(b"look", b"[x]"))
    assert b"look" not in path.read_bytes()


def test_a_name_is_repeated_behind_a_line_with_a_secret(tmp_path: Path) -> None:
    path, secret = tmp_path / "t_abc.jsonl", "correct horse battery"
    transcript = Transcript(path, dict(HEADER), redact=Redactor([secret]).line)
    transcript(MessageAdded(User("hi")))
    transcript.rename("the parser")
    transcript(MessageAdded(User("x" * NAME_WINDOW + secret)))
    transcript.close()
    saved = read(path.read_bytes())
    assert saved.messages[1] == User("x" * NAME_WINDOW + "[redacted]")
    assert path.read_bytes().count(b'"name":"the parser"') == 2


def test_a_name_stays_near_the_end(tmp_path: Path) -> None:
    path = tmp_path / "t_abc.jsonl"
    transcript = Transcript(path, dict(HEADER))
    transcript(MessageAdded(User("hi")))
    transcript.rename("the parser")
    for length in (10, NAME_WINDOW, 300, NAME_WINDOW // 2, 5000, 5000, 5000, 5000, 3 * NAME_WINDOW, 10):
        transcript(MessageAdded(User("x" * length)))
        assert b'"name":"the parser"' in path.read_bytes()[-NAME_WINDOW:]
    transcript.close()
    resumed = Transcript.resume(path)
    assert resumed.saved.name == "the parser" and len(resumed.saved.messages) == 11
    resumed(MessageAdded(User("x" * NAME_WINDOW)))
    assert b'"name":"the parser"' in path.read_bytes()[-NAME_WINDOW:]
    resumed.close()


def test_without_a_path_nothing_is_kept() -> None:
    transcript = Transcript(None, dict(HEADER))
    for event in events():
        transcript(event)
    transcript.sync()
    transcript.close()
    assert transcript.id == "abc"


def test_a_file_that_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "t_abc.jsonl"
    said: list[str] = []
    transcript = Transcript(path, dict(HEADER), warn=said.append)
    path.write_text("another's")
    transcript(MessageAdded(User("hi")))
    assert path.read_text() == "another's" and len(said) == 1


@given(st.text())
def test_a_title_is_one_short_line(text: str) -> None:
    made = title(text)
    assert len(made) <= 120 and len(made.splitlines()) <= 1


messages = st.lists(
    st.one_of(
        st.builds(User, st.sampled_from(["a", "b"])),
        st.builds(
            Assistant,
            calls=st.lists(
                st.builds(Call, st.sampled_from("123"), st.just("t"), st.just("{}")), unique_by=lambda c: c.id
            ).map(tuple),
        ),
        st.builds(ToolAnswer, st.sampled_from("1234"), st.just("t"), st.just("x")),
    )
)


@given(messages)
def test_any_conversation_becomes_valid_and_a_valid_one_stays(found: list[Message]) -> None:
    sound = repaired(found)
    waiting: set[str] = set()
    for message in sound:
        if isinstance(message, ToolAnswer):
            waiting.remove(message.call_id)
        else:
            assert not waiting
            waiting = {call.id for call in message.calls} if isinstance(message, Assistant) else set()
    assert not waiting
    assert repaired(sound) == sound
    kept = [each for each in sound if not (isinstance(each, ToolAnswer) and each.text == LOST)]
    assert [each for each in kept if not isinstance(each, ToolAnswer)] == [
        each for each in found if not isinstance(each, ToolAnswer)
    ]


def test_the_disk_is_asked_to_keep_what_was_written(tmp_path: Path) -> None:
    transcript = Transcript(tmp_path / "t_abc.jsonl", dict(HEADER))
    transcript.sync()
    transcript(MessageAdded(User("hi")))
    transcript.sync()
    transcript.close()
    transcript.sync()
    assert os.path.getsize(tmp_path / "t_abc.jsonl") > 0
