"""How much is measured: the full run, and a quick one that only shows that it works."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    """Lengths are in tokens, the rest are counts."""

    rounds: int = 5
    """Of decode speed and of stops."""
    long_rounds: int = 2
    """Of what takes longer: conversations, crowds, starts."""
    decode: int = 128
    history: int = 4000
    turns: int = 20
    turn_answer: int = 64
    document: int = 3000
    document_turns: int = 10
    document_answer: int = 32
    chats: tuple[int, ...] = (1, 2, 4, 8)
    crowd_answer: int = 64
    long_prompt: int = 8000
    lookup: tuple[int, ...] = (3, 10)
    """How many tokens are guessed."""
    copied: int = 200
    """Length of the prompt with the text that the answer is to copy."""
    stored_chats: int = 10_000
    stored_messages: int = 1_000_000

    def within(self, context: int | None) -> Sizes:
        """The same, no longer than a model's context."""
        if context is None:
            return self
        return replace(
            self,
            history=min(self.history, context // 2),
            document=min(self.document, context // 3),
            long_prompt=min(self.long_prompt, context - 64),
            copied=min(self.copied, context // 4),
            turn_answer=min(self.turn_answer, max(1, context // self.turns - 48)),
        )


FULL = Sizes()
QUICK = Sizes(
    rounds=2,
    long_rounds=1,
    decode=16,
    history=240,
    turns=3,
    turn_answer=8,
    document=160,
    document_turns=3,
    document_answer=8,
    chats=(1, 2),
    crowd_answer=8,
    long_prompt=320,
    lookup=(3,),
    copied=80,
    stored_chats=20,
    stored_messages=400,
)
