"""A LoRA adapter onto a model: Hu et al. 2021; the files as PEFT and LLaMA-Factory write them."""

from __future__ import annotations

import warnings
from typing import cast

from peft import PeftModel, get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from transformers import PreTrainedModel

from chatapp.engines.adapters import WEIGHTS, Adapter
from chatapp.engines.transformers.boundary import first_line
from chatapp.errors import LoadError
from chatapp.texts import Sentence


def attach(model: PreTrainedModel, adapter: Adapter, *, name: str, merge: bool) -> PreTrainedModel:
    """The model with the adapter's changes: merged into the weights, or computed beside them.

    Merging costs nothing afterwards; packed weights (8 and 4 bits) would lose by it.
    Raises LoadError when the adapter was made for another model than this.
    """
    try:
        with warnings.catch_warnings():
            # Said where layers are missing, for which there is an error below.
            warnings.filterwarnings("ignore", "Found missing adapter keys")
            # PEFT 0.21 asks transformers 5.23 for what has a new name.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")
            adapted = PeftModel.from_pretrained(
                model, str(adapter.path), torch_device=str(model.device)
            )
        with safe_open(adapter.path / WEIGHTS, "pt") as file:
            stored = set(file.keys())
    except SafetensorError as error:
        raise LoadError("adapter-not-one", path=adapter.path, file=WEIGHTS) from error
    except (ValueError, RuntimeError, LookupError) as error:
        raise _wrong_base(adapter, name, first_line(error)) from error
    # Of what the model does not have PEFT says nothing.
    if stored != set(get_peft_model_state_dict(adapted)):
        raise _wrong_base(adapter, name, Sentence("cause-other-layers"))
    done = adapted.merge_and_unload() if merge else adapted.get_base_model()
    return cast("PreTrainedModel", done.eval())


def _wrong_base(adapter: Adapter, name: str, cause: object) -> LoadError:
    base = adapter.base or Sentence("info-context-unknown")
    return LoadError("adapter-wrong-base", adapter=adapter.name, name=name, base=base, cause=cause)
