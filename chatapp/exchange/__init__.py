"""Conversations as files: out as Markdown, JSON or training data, in from ours and others'.

Pure functions on conversations and texts; `files` alone touches the disk.
"""

from chatapp.exchange.files import file_stem, read_text, write_atomic
from chatapp.exchange.markdown import export_markdown
from chatapp.exchange.own import export_json
from chatapp.exchange.reading import Imported, import_text
from chatapp.exchange.training import (
    TRAINING_FORMATS,
    TrainingFormat,
    add_dataset,
    dataset_info,
    export_training,
    training,
)

__all__ = [
    "TRAINING_FORMATS",
    "Imported",
    "TrainingFormat",
    "add_dataset",
    "dataset_info",
    "export_json",
    "export_markdown",
    "export_training",
    "file_stem",
    "import_text",
    "read_text",
    "training",
    "write_atomic",
]
