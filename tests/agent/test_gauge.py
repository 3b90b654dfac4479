"""The reading of the window: estimated before the server has counted, anchored to its count after."""

from dataclasses import replace

import pytest

from nanocode.agent.gauge import IMAGE, OVERHEAD, Gauge, Reading
from nanocode.messages import Assistant, Call, Image, Message, ToolAnswer, Usage, User
from nanocode.tools import ALL


def by_words(text: str) -> int:
    return len(text.split())


def gauge() -> Gauge:
    return Gauge(by_words)


def words(number: int) -> str:
    return "word " * number


ASKED = User(words(500))
CALLED = Assistant("", words(3), (Call("1", "read", '{"path": "a"}'),), Usage(2000, 50, 10))
USED = ToolAnswer("1", "read", words(4000))
ANSWERED = ToolAnswer("1", "read", words(400))


def test_a_message_counts_all_that_is_sent_of_it() -> None:
    assert gauge().message(CALLED) == OVERHEAD + 3 + 3
    assert gauge().message(User("one two", (Image("image/png", "a" * 9999),) * 2)) == OVERHEAD + 2 + 2 * IMAGE


def test_before_the_first_usage_everything_is_estimated() -> None:
    assert gauge().read(1000, (ASKED,)) == Reading(1000 + OVERHEAD + 500, 0)


def test_after_it_only_what_is_new_is() -> None:
    assert gauge().read(1000, (ASKED, CALLED)) == Reading(2050, 2050)
    assert gauge().read(1000, (ASKED, CALLED, ANSWERED)) == Reading(2050 + OVERHEAD + 400, 2050)


def test_an_answer_without_usage_leaves_the_anchor_where_it_was() -> None:
    cut = Assistant("half", stop="interrupted")
    assert gauge().read(1000, (ASKED, CALLED, ANSWERED, cut)).counted == 2050


def test_a_usage_that_leaves_out_most_of_the_prompt_is_not_believed() -> None:
    odd = replace(CALLED, usage=Usage(9, 50))
    assert gauge().read(1000, (ASKED, odd)).counted == 0


def test_the_ratio_is_learned_and_used_for_what_is_new() -> None:
    ours = 1000 + OVERHEAD + 500
    vendor = gauge()
    vendor.learn(1000, (ASKED, replace(CALLED, usage=Usage(round(1.2 * ours), 50))))
    assert vendor.ratio == pytest.approx(1.2, rel=1e-3)
    later: tuple[Message, ...] = (ASKED, CALLED, ANSWERED)
    assert vendor.read(1000, later).tokens == 2050 + round(vendor.ratio * (OVERHEAD + 400))
    grown = 2050 + round(1.5 * (OVERHEAD + 400))
    vendor.learn(1000, (*later, Assistant("done", usage=Usage(grown, 1))))
    assert 1.2 < vendor.ratio < 1.5


def test_what_a_vendor_makes_of_the_tools_says_little_of_other_text() -> None:
    vendor = gauge()
    vendor.learn(5000, (ASKED, replace(CALLED, usage=Usage(11_000, 50))))
    vendor.learn(5000, (ASKED, replace(CALLED, usage=Usage(11_000, 50)), USED, Assistant("", usage=Usage(15_061, 1))))
    assert vendor.ratio == pytest.approx(1.07, abs=0.02)


@pytest.mark.parametrize("sent", [0, 10, 10_000_000])
def test_numbers_that_count_something_else_teach_nothing(sent: int) -> None:
    vendor = gauge()
    vendor.learn(1000, (ASKED, replace(CALLED, usage=Usage(sent, 50))))
    assert vendor.ratio == 1.0


def test_tools_count_with_their_schemas() -> None:
    assert gauge().tools(ALL) > sum(by_words(tool.description) for tool in ALL)


def test_a_message_is_counted_once() -> None:
    seen: list[str] = []
    counting = Gauge(lambda text: len(seen.append(text) or text))
    for _ in range(3):
        counting.read(0, (ASKED,))
    assert seen == [ASKED.text]


def test_what_was_counted_does_not_outlive_its_conversation() -> None:
    counting = gauge()
    for number in range(2000):
        counting.read(0, (User(f"message {number}"),))
    assert len(counting._known) < 500


def test_over_a_long_conversation_a_message_is_counted_once() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return by_words(text)

    vendor, history = Gauge(count), [ASKED]
    for turn in range(400):
        history += [replace(CALLED, text=f"turn {turn}"), ToolAnswer(f"{turn}", "read", f"answer {turn}")]
        vendor.learn(1000, history[:-1])
        vendor.read(1000, history)
    assert counted.count("answer 0") == 1 and counted.count("turn 0") == 1
