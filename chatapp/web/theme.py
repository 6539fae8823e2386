"""The page's colours and fonts; what a theme cannot say stands in `assets/page.css`."""

from __future__ import annotations

import gradio as gr

FONTS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Noto Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "Noto Sans CJK SC",
    "sans-serif",
)
MONOSPACED = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """Quiet greys, one accent; the system's own fonts, so that nothing is fetched."""
    fonts = [gr.themes.Font(name) for name in FONTS]
    monospaced = [gr.themes.Font(name) for name in MONOSPACED]
    return gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="zinc",
        radius_size="lg",
        font=fonts,
        font_mono=monospaced,
    )
