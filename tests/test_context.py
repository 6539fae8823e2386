"""How full the context is, and what the next question will leave out; compact() makes room."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from chatapp.chat import SUM_UP, compact, respond
from chatapp.context import outlook
from chatapp.engines.scripted import Script, ScriptedEngine
from chatapp.errors import CommandError, ContextOverflow, GenerationError
from chatapp.events import Finished, TextDelta, TurnsLeftOut
from chatapp.messages import Conversation, Message
from chatapp.settings import GenerationSettings

OWN = GenerationSettings(max_new_tokens=10)


def turns(count: int, words: int = 4) -> Conversation:
    """Each question and each answer has so many words."""
    conversation = Conversation("Be brief.")
    for turn in range(count):
        said = " ".join([f"word{turn}"] * words)
        conversation.ask(said).reply(Message("assistant", said))
    return conversation


def test_the_outlook_counts_what_would_be_sent_with_the_next_question() -> None:
    seen = outlook(ScriptedEngine(context_length=100), turns(2), OWN)
    assert seen.used == 3 + 4 * 5 + 1, "words and one more of each message, the question's too"
    assert (seen.context, seen.share, seen.turns_left_out) == (100, 0.24, 0)
    assert not seen.is_nearly_full


def test_the_context_is_nearly_full_before_turns_are_left_out_and_after() -> None:
    assert outlook(ScriptedEngine(context_length=100), turns(8), OWN).is_nearly_full
    seen = outlook(ScriptedEngine(context_length=100), turns(12), OWN)
    assert seen.turns_left_out > 0 and seen.is_nearly_full


@pytest.mark.parametrize("count", range(6, 16))
def test_the_outlook_foretells_what_the_next_question_leaves_out(count: int) -> None:
    engine, conversation = ScriptedEngine(context_length=100), turns(count)
    foretold = outlook(engine, conversation, OWN).turns_left_out
    conversation.ask("")
    events = list(respond(engine, conversation, OWN, threading.Event()))
    left_out = [event.count for event in events if isinstance(event, TurnsLeftOut)]
    assert left_out == ([foretold] if foretold else [])


def test_an_unknown_context_is_never_full() -> None:
    seen = outlook(ScriptedEngine(context_length=None), turns(50), OWN)
    assert (seen.share, seen.is_nearly_full) == (None, False)


def test_a_system_prompt_longer_than_the_context_leaves_everything_out() -> None:
    conversation = turns(2)
    conversation.system = "word " * 200
    assert outlook(ScriptedEngine(context_length=100), conversation, OWN).turns_left_out == 2


# --- compact


def summed_up(
    engine: ScriptedEngine, conversation: Conversation, keep: Callable[[], None] = lambda: None
) -> list[object]:
    return list(compact(engine, conversation, OWN, threading.Event(), keep=keep))


def summaries(conversation: Conversation) -> list[str]:
    return [said.summary for said in conversation.path if said.role == "user"]


def test_the_oldest_turns_are_summed_up_and_the_originals_stay() -> None:
    conversation = turns(5)
    path = conversation.path
    engine = ScriptedEngine([Script(["They ", "counted. "])])
    kept: list[str] = []
    events = summed_up(engine, conversation, lambda: kept.append(conversation.path[6].summary))
    assert isinstance(events[-1], Finished)
    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "They counted. "
    assert summaries(conversation) == ["", "", "", "They counted.", ""]
    assert conversation.path == path and kept == ["They counted."]
    assert engine.prompts[0][-1].content == SUM_UP and len(engine.prompts[0]) == 1 + 6 + 1
    system, *sent = conversation.prompt(Message("user", "and?"))
    assert system.content.endswith("They counted.") and sent[:-1] == path[6:]


def test_what_was_summed_up_is_summed_up_again_with_what_came_since() -> None:
    conversation = turns(5)
    summed_up(ScriptedEngine([Script(["Once."])]), conversation)
    for _ in range(3):
        conversation.ask("more?").reply(Message("assistant", "yes"))
    engine = ScriptedEngine([Script(["Twice."])])
    summed_up(engine, conversation)
    assert engine.prompts[0][0].content.endswith("Once.")
    assert conversation.prompt()[0].content.endswith("Twice.")
    assert summaries(conversation).count("Once.") == 1, "an earlier branch may still need it"


def test_what_is_too_long_is_summed_up_in_parts_each_with_the_one_before() -> None:
    conversation = turns(20)
    engine = ScriptedEngine([Script([f"Part{part}."]) for part in range(9)], context_length=120)
    kept: list[int] = []
    summed_up(engine, conversation, lambda: kept.append(1))
    assert len(engine.prompts) == len(kept) > 1
    for before, prompt in enumerate(engine.prompts[1:]):
        assert prompt[0].content.endswith(f"Part{before}.")
    assert all(engine.count_tokens(prompt) <= 120 for prompt in engine.prompts)
    told = " ".join(said.content for prompt in engine.prompts for said in prompt)
    assert all(f"word{turn} " in told for turn in range(18)), "no turn was left out"
    assert conversation.prompt(Message("user", "?"))[0].content.endswith(f"Part{len(kept) - 1}.")
    assert outlook(engine, conversation, OWN).turns_left_out == 0


def test_stopped_it_changes_nothing() -> None:
    conversation, cancel = turns(5), threading.Event()
    engine = ScriptedEngine([Script(["word "] * 100)])
    stream = compact(engine, conversation, GenerationSettings(), cancel)
    for event in stream:
        if isinstance(event, TextDelta):
            cancel.set()
    assert isinstance(event, Finished) and event.reason == "stopped"
    assert summaries(conversation) == [""] * 5


def test_failed_or_without_a_word_it_changes_nothing() -> None:
    failing = Script(["a "], error=GenerationError("engine-closed"))
    for script in (failing, Script([" "])):
        conversation = turns(5)
        with pytest.raises(GenerationError):
            summed_up(ScriptedEngine([script]), conversation)
        assert summaries(conversation) == [""] * 5


def test_a_turn_that_alone_is_too_long_is_said() -> None:
    conversation = turns(5, words=200)
    with pytest.raises(ContextOverflow):
        summed_up(ScriptedEngine(context_length=150), conversation)
    assert summaries(conversation) == [""] * 5


@pytest.mark.parametrize("count", [0, 1])
def test_the_newest_turn_is_never_summed_up(count: int) -> None:
    with pytest.raises(CommandError, match="nothing to sum up"):
        summed_up(ScriptedEngine(), turns(count))
