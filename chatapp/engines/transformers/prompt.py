"""Messages -> token ids through the model's own chat template. Knows nothing of generation."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from chatapp.engines import split_answer
from chatapp.engines.transformers.streaming import CLOSE_TAG, OPEN_TAG, Stage
from chatapp.errors import GenerationError
from chatapp.messages import Message
from chatapp.texts import Sentence

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The most common template, for a model that brings none."""
CHATML_END = "<|im_end|>"


class PromptEncoder:
    """Renders and tokenizes conversations for one model. Safe to call from several threads."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()  # a fast tokenizer raises "Already borrowed" without
        self._template: str | None = None
        self._merges_system = False
        self.notices: list[Sentence] = []
        self.stop: tuple[str, ...] = ()
        """Texts that end an answer because the template, not the model, knows them."""
        if not tokenizer.chat_template:
            self._template = CHATML
            self.stop = (CHATML_END,)
            self.notices.append(Sentence("notice-no-template"))
        elif not self._takes_system():
            self._merges_system = True
            self.notices.append(Sentence("notice-no-system"))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt for these messages, up to where the answer begins, as token ids.

        Where the last message is an answer, up to where it goes on: its text follows the prompt of
        its question, tokenized apart from it, as the model's own tokens were.
        Special tokens that stand in a message are encoded as plain text.
        Raises GenerationError when the template cannot render the messages.
        """
        asked, answer = split_answer(messages)
        prompt = self._apply(self._chat(asked), tokenize=True, sanitize_control_tokens=True)
        if answer is None:
            return list(prompt)
        text = self._written(answer)
        with self._lock:
            begun = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return [*prompt, *begun["input_ids"]]

    def stage(self, messages: Sequence[Message]) -> Stage:
        """What the model writes first after the prompt of these messages."""
        _, answer = split_answer(messages)
        if answer is None:
            return "reasoning" if self.opens_reasoning else "start"
        return "answer" if answer.content else "reasoning"

    @cached_property
    def opens_reasoning(self) -> bool:
        """Whether the template itself writes the tag that opens the reasoning."""
        rendered = self._apply([{"role": "user", "content": "Hi"}], tokenize=False)
        return str(rendered).rstrip().endswith(OPEN_TAG)

    def _written(self, answer: Message) -> str:
        """An answer as the model wrote it, with the tags that ReasoningSplitter took out.

        The blank line after the reasoning is what models write there; it was taken out too.
        """
        text = answer.reasoning
        if text and not self.opens_reasoning:
            text = OPEN_TAG + text
        if answer.content and (text or self.opens_reasoning):
            text += CLOSE_TAG + "\n\n"
        return text + answer.content

    def _chat(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        chat = [{"role": sent.role, "content": sent.content} for sent in messages]
        if self._merges_system and chat[0]["role"] == "system":
            system, first, *rest = chat
            merged = f"{system['content']}\n\n{first['content']}"
            return [{"role": first["role"], "content": merged}, *rest]
        return chat

    def _apply(self, chat: list[dict[str, str]], **how: Any) -> Any:
        try:
            with self._lock:
                return self._tokenizer.apply_chat_template(
                    chat,
                    chat_template=self._template,
                    add_generation_prompt=True,
                    return_dict=False,
                    **how,
                )
        except (TemplateError, TypeError, ValueError) as error:
            raise GenerationError("template-failed", cause=error) from error

    def _takes_system(self) -> bool:
        """Whether a system message comes through: some templates refuse it, others drop it."""
        marker = "be-brief-7c1e"
        chat = [{"role": "system", "content": marker}, {"role": "user", "content": "Hi"}]
        try:
            return marker in str(self._apply(chat, tokenize=False))
        except GenerationError:
            return False
