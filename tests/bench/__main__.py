"""`python -m tests.bench` (or `make bench`): measure, print tables, write a JSON file and a PNG."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from chatapp.engines import ModelOptions
from chatapp.errors import ChatError
from tests.bench import conversations, crowd, decode, life, lookup, machine, plot, report, waiting
from tests.bench.contenders import contenders, without_cache
from tests.bench.course import Course
from tests.bench.model import endless, folder_of, open_transformers
from tests.bench.sizes import FULL, QUICK
from tests.bench.values import Measure

ROOT = Path(__file__).parents[2]
MEASURES: Mapping[str, Callable[[Course], Measure]] = {
    "decode": decode.measure,
    "turns": waiting.over_turns,
    "history": waiting.long_history,
    "document": waiting.about_document,
    "crowd": crowd.measure,
    "lookup": lookup.measure,
    "stop": life.stopping,
    "load": life.loading,
    "start": life.starting,
    "memory": life.memory,
    "conversations": conversations.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    asked = build_parser().parse_args(arguments)
    file = asked.output / "benchmark.json"
    if asked.readme:
        report.write_readme(ROOT / "README.md", json.loads(file.read_text(encoding="utf-8")))
        return 0
    try:
        found = run(
            ModelOptions(asked.checkpoint_path, engine="transformers", dtype=asked.dtype),
            quick=asked.quick,
            only=asked.only,
            beside_serve=not asked.without_serve,
        )
    except ChatError as error:
        print(error, file=sys.stderr)
        return 1
    asked.output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plot.draw(found, file.with_suffix(".png"))
    print(report.tables(found))
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.bench", description=__doc__)
    parser.add_argument(
        "-c",
        "--checkpoint-path",
        default="demo",
        metavar="MODEL",
        help="a folder, a .gguf file (it is converted), a hub's name; without: the demo model",
    )
    parser.add_argument(
        "--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16")
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "docs",
        metavar="FOLDER",
        help="where benchmark.json and benchmark.png go (docs)",
    )
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    parser.add_argument(
        "--only", nargs="+", choices=MEASURES, default=list(MEASURES), help="some of the measures"
    )
    parser.add_argument(
        "--without-serve", action="store_true", help="leave `transformers serve` out"
    )
    parser.add_argument(
        "--readme", action="store_true", help="only put the last run into the README"
    )
    return parser


def run(
    options: ModelOptions, *, quick: bool, only: Collection[str], beside_serve: bool
) -> dict[str, Any]:
    """All that was measured, as it stands in benchmark.json. Raises ChatError."""
    begin = time.monotonic()
    tell = partial(_tell, begin)
    named = machine.describe()
    with tempfile.TemporaryDirectory(prefix="chatapp-bench-") as scratch:
        tell("finding the model, converting it if need be")
        with closing(open_transformers(options, lambda _: None)) as first:
            model, folder = first.model, endless(folder_of(first), Path(scratch) / "model")
        with (
            closing(open_transformers(_from(options, folder), lambda _: None)) as engine,
            closing(without_cache(engine)) as uncached,
        ):
            course = Course(
                engine=engine,
                contenders=contenders(engine, uncached),
                folder=folder,
                dtype=str(engine._model.dtype).removeprefix("torch."),
                sizes=(QUICK if quick else FULL).within(engine.context_length),
                beside_serve=beside_serve,
                say=tell,
            )
            measures = []
            for number, name in enumerate(only, 1):
                say = partial(_tell, begin, f"[{number}/{len(only)}] {name}:")
                measures.append(_measured(name, replace(course, say=say)).as_dict())
    return {
        "model": model,
        "dtype": course.dtype,
        "quick": quick,
        "seconds": round(time.monotonic() - begin),
        "machine": named,
        "sizes": asdict(course.sizes),
        "measures": measures,
    }


def _measured(name: str, course: Course) -> Measure:
    """One measure; when it fails, what the others found is worth keeping."""
    try:
        return MEASURES[name](course)
    except Exception as error:  # noqa: BLE001  a boundary: one measure of many
        traceback.print_exc()
        return Measure(name, name, "", notes=[f"{name} failed: {type(error).__name__}: {error}"])


def _from(options: ModelOptions, folder: Path) -> ModelOptions:
    return replace(options, checkpoint_path=str(folder))


def _tell(begin: float, *words: str) -> None:
    """Where the run stands, on standard error."""
    minutes, seconds = divmod(round(time.monotonic() - begin), 60)
    print(f"{minutes:3}:{seconds:02}", *words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
