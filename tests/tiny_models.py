"""Tiny models of many architectures, with random weights and a tokenizer trained on the spot.

They answer nonsense, but through the real configs, templates, tokenizers, caches and generate().
The templates are the families' own in short: same control tokens, same refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GlmConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

CORPUS = [
    "The quick brown fox jumps over the lazy dog. What is the capital of France? Paris.",
    "你好，世界！今天天气怎么样？我是一个语言模型。杭州市在浙江省。",
    "こんにちは、元気ですか。안녕하세요, 반갑습니다. 🙂👍🏽 naïve café",
    "You are a helpful assistant. Tell me a story, please. 0123456789",
]

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "<|begin_of_text|>{% for message in messages %}<|start_header_id|>{{ message['role'] }}"
    "<|end_header_id|>\n\n{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "<bos>{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
GLM = (
    "[gMASK]<sop>{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
MISTRAL = (
    "<s>{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST] {{ message['content'] }} [/INST]"
    "{% elif message['role'] == 'assistant' %} {{ message['content'] }}</s>"
    "{% endif %}{% endfor %}"
)

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


@dataclass(frozen=True)
class Family:
    """What makes a model one of its kind."""

    config: Callable[..., Any]
    template: str | None
    control: tuple[str, ...]
    """Control tokens; the last ends an answer."""
    sizes: dict[str, Any] = field(default_factory=lambda: SIZES)


FAMILIES: dict[str, Family] = {
    "qwen2": Family(Qwen2Config, CHATML, ("<|im_start|>", "<|im_end|>")),
    "llama": Family(
        LlamaConfig,
        LLAMA,
        ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    "gemma": Family(
        Gemma2Config,
        GEMMA,
        ("<bos>", "<start_of_turn>", "<end_of_turn>"),
        SIZES | {"head_dim": 8, "sliding_window": 64},
    ),
    "glm": Family(
        GlmConfig,
        GLM,
        ("[gMASK]", "<sop>", "<|system|>", "<|assistant|>", "<|user|>"),
        SIZES | {"head_dim": 8},
    ),
    "mistral": Family(
        MistralConfig, MISTRAL, ("<s>", "[INST]", "[/INST]", "</s>"), SIZES | {"sliding_window": 32}
    ),
    "sliding": Family(
        Gemma3TextConfig,
        CHATML,
        ("<|im_start|>", "<|im_end|>"),
        SIZES | {"head_dim": 8, "sliding_window": 16, "layer_types": ["sliding_attention"] * 2},
    ),
    "recurrent": Family(
        MambaConfig,
        CHATML,
        ("<|im_start|>", "<|im_end|>"),
        {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2},
    ),
    "base": Family(Qwen2Config, None, ("<|endoftext|>",)),
}


WIDE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "head_dim": 16}
"""What bitsandbytes' 4-bit product on the CPU asks for: rows of whole blocks of 64."""


def build(
    name: str, folder: Path, sizes: Mapping[str, Any] | None = None, **recommended: Any
) -> Path:
    """Save a tiny model of a family into `folder`; `recommended` goes to its generation_config."""
    family = FAMILIES[name]
    tokenizer = build_tokenizer(family)
    end = tokenizer.convert_tokens_to_ids(family.control[-1])
    config = family.config(
        **(family.sizes | dict(sizes or {})),
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config.update(eos_token_id=end, pad_token_id=end, **recommended)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_tokenizer(family: Family) -> PreTrainedTokenizerFast:
    """A byte-level BPE, as most families have, with this one's control tokens and template."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(family.control),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=family.control[-1])
    wrapped.chat_template = family.template
    return wrapped
