"""The machine and the versions a run is named after."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

import chatapp

ROOT = Path(__file__).parents[2]


def describe() -> dict[str, Any]:
    """Facts as they are now; memory in GiB."""
    gpus = range(torch.cuda.device_count())
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": round(psutil.virtual_memory().total / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "gpus": [torch.cuda.get_device_name(index) for index in gpus],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "chatapp": chatapp.__version__,
    }


def sentence(machine: dict[str, Any]) -> str:
    """The same, for a person."""
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']} GiB, {gpus}; "
        f"Python {machine['python']}, torch {machine['torch']}, "
        f"transformers {machine['transformers']}, chatapp {machine['chatapp']} "
        f"({machine['commit']}); {machine['date']}; load average at the start {machine['load']}"
    )


def _processor() -> str:
    """The name, and what of it matters for speed (as far as Linux tells)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    named = facts.get("model name") or platform.machine()
    flags = facts.get("flags", "").split()
    special = [flag for flag in ("avx2", "avx512_bf16", "amx_tile") if flag in flags]
    return f"{named} ({', '.join(special)})" if special else named


def _commit() -> str:
    """The commit, with a + where files differ from it; empty outside of git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
