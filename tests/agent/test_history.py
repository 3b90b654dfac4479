"""Every call is answered, whatever happened to it; a snapshot stays what it was."""

from hypothesis import given
from hypothesis import strategies as st

from nanocode.agent.history import INTERRUPTED, History, unanswered
from nanocode.messages import Assistant, Call, Message, ToolAnswer, User


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """Whole turns, and one at the end whose calls have answers in part and in any order."""
    messages: list[Message] = []
    counts = draw(st.lists(st.integers(0, 3), max_size=4))
    for turn, count in enumerate(counts):
        calls = tuple(Call(f"{turn}-{n}", "ls", "{}") for n in range(count))
        messages += [User("go"), Assistant("so", calls=calls)]
        answered = list(draw(st.permutations(calls)))
        if turn == len(counts) - 1:
            answered = answered[: draw(st.integers(0, count))]
        messages += [ToolAnswer(call.id, call.name, "x") for call in answered]
    return messages


@given(conversations())
def test_closing_answers_what_has_no_answer_and_nothing_twice(messages: list[Message]) -> None:
    history = History(messages)
    before = history.messages
    added = history.close()
    assert history.messages == before + added and before == tuple(messages)
    assert not unanswered(history.messages) and history.close() == ()
    assert all(answer.failed and answer.text == INTERRUPTED for answer in added)
    ids = [each.call_id for each in history.messages if isinstance(each, ToolAnswer)]
    called = [call.id for each in messages if isinstance(each, Assistant) for call in each.calls]
    assert sorted(ids) == sorted(called)


def test_open_calls_before_a_message_of_the_user_are_not_at_the_end() -> None:
    called = Assistant(calls=(Call("a", "ls", "{}"),))
    assert unanswered((called, User("go on"))) == ()
    assert unanswered(()) == ()
