"""中文。"""

SENTENCES: dict[str, str] = {}
