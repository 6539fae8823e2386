"""The :commands, one function each. A docstring's first line is the command's English help.

`@command` declares the name, the aliases, the arguments and how they are completed; `:help`, Tab
and the README's table come from that. What a command cannot do is a ChatError.
"""

# The order of these imports is the order of the rooms in `:help`.
from chatapp.terminal.commands import program, answers, conversations, exchange, settings  # isort: skip
from chatapp.terminal.commands.registry import COMMANDS, Command, find, run_command

__all__ = [
    "COMMANDS",
    "Command",
    "answers",
    "conversations",
    "exchange",
    "find",
    "program",
    "run_command",
    "settings",
]
