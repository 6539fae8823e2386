"""Where the page's style and pictures are: beside the package, or inside it once installed."""

from __future__ import annotations

from pathlib import Path

import chatapp


def asset(name: str) -> Path:
    """The file of one asset. `assets/` of the source tree is `chatapp/assets/` in a wheel."""
    package = Path(chatapp.__file__).parent
    installed = package / "assets" / name
    return installed if installed.exists() else package.parent / "assets" / name


def read_asset(name: str) -> str:
    return asset(name).read_text(encoding="utf-8")
