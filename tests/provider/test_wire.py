"""Our messages as requests: what every server must be able to read."""

import json
from typing import Any

from nanocode.messages import Assistant, Call, Image, Message, System, ToolAnswer, User
from nanocode.provider.catalog import Model
from nanocode.provider.wire import request
from nanocode.tools import ALL

PLAIN, KIMI, SEEING = Model("my-model"), Model("kimi-k2.6"), Model("my-model", takes_images=True)
CALLED = Assistant("", "", (Call("a", "read", '{"path": "x"}'),), stop="calls")
ANSWERED = ToolAnswer("a", "read", "   1| x")


def sent(*messages: Message, model: Model = PLAIN) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(request(model, messages, ()))["messages"]
    return found


def test_a_whole_conversation() -> None:
    assert sent(System("rules"), User("hi"), CALLED, ANSWERED, Assistant("it is x")) == [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "read", "arguments": '{"path": "x"}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "   1| x"},
        {"role": "assistant", "content": "it is x"},
    ]


def test_the_same_history_gives_the_same_bytes_and_a_longer_one_the_same_start() -> None:
    one = request(PLAIN, (System("s"), User("a")), ALL)
    assert one == request(PLAIN, (System("s"), User("a")), ALL)
    longer = request(PLAIN, (System("s"), User("a"), Assistant("b"), User("c")), ALL)
    shared = one.index(b"]")
    assert longer[:shared] == one[:shared]


def test_reasoning_is_replayed_and_where_a_model_insists_also_when_empty() -> None:
    thought = Assistant("", "so", CALLED.calls, stop="calls")
    assert sent(thought, ANSWERED)[0]["reasoning_content"] == "so"
    assert "reasoning_content" not in sent(CALLED, ANSWERED)[0]
    assert sent(CALLED, ANSWERED, model=KIMI)[0]["reasoning_content"] == ""
    assert "reasoning_content" not in sent(Assistant("hi"), model=KIMI)[0]


def test_an_empty_answer_is_left_out() -> None:
    assert [each["role"] for each in sent(User("a"), Assistant("", "only thoughts"), User("b"))] == ["user", "user"]


def test_broken_arguments_are_replayed_as_an_empty_object() -> None:
    for arguments in ("", "{", "[]", '"x"', '{"a": 1} {'):
        broken = Assistant(calls=(Call("a", "read", arguments),), stop="calls")
        assert sent(broken, ANSWERED)[0]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_name_that_no_server_takes_is_replayed_as_one_that_it_does() -> None:
    for name, replayed in (("", "unknown"), ("functions.read", "functions_read"), ("é" * 99, "_" * 64)):
        made_up = Assistant(calls=(Call("a", name, "{}"),), stop="calls")
        assert sent(made_up, ANSWERED)[0]["tool_calls"][0]["function"]["name"] == replayed


def test_images_of_tools_follow_the_answers_in_a_message_of_the_user() -> None:
    image = Image("image/png", "AAAA")
    two = Assistant(calls=(Call("a", "read", "{}"), Call("b", "read", "{}")), stop="calls")
    answers = ToolAnswer("a", "read", "x", images=(image,)), ToolAnswer("b", "read", "y")
    roles = sent(two, *answers, Assistant("I see"), model=SEEING)
    assert [each["role"] for each in roles] == ["assistant", "tool", "tool", "user", "assistant"]
    assert roles[3]["content"][1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_a_model_that_takes_no_images_is_told_that_they_are_left_out() -> None:
    image = Image("image/png", "AAAA")
    talk = (
        User("look", (image, image)),
        CALLED,
        ToolAnswer("a", "read", "a picture", images=(image,)),
        Assistant("I see"),
    )
    seen, unseen = sent(*talk, model=SEEING), sent(*talk, model=PLAIN)
    assert [each["role"] for each in seen] == ["user", "assistant", "tool", "user", "assistant"]
    assert [part["type"] for part in seen[0]["content"]] == ["text", "image_url", "image_url"]
    assert [each["role"] for each in unseen] == ["user", "assistant", "tool", "assistant"]
    assert unseen[0]["content"] == "look\n[images left out, as this model takes none: 2]"
    assert unseen[2]["content"] == "a picture\n[images left out, as this model takes none: 1]"
    assert b"AAAA" not in request(PLAIN, talk, ())


def test_limits_and_tools() -> None:
    body = json.loads(request(Model("m", output=100), (User("a"),), ALL, usage=False))
    assert body["max_tokens"] == 100 and "stream_options" not in body and "store" not in body
    assert [each["function"]["name"] for each in body["tools"]] == [tool.name for tool in ALL]
    assert json.loads(request(Model("m", output=100), (User("a"),), (), max_output=7))["max_tokens"] == 7
    assert "max_tokens" not in json.loads(request(PLAIN, (User("a"),), ()))
    assert "tools" not in json.loads(request(PLAIN, (User("a"),), ()))


def test_what_is_no_utf_8_still_goes_out() -> None:
    assert sent(User("a\ud83d"))[0]["content"] == "a\ufffd"
