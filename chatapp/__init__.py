"""chatapp: chat with open-weight language models, in a terminal and in a browser."""

__version__ = "0.1.0"
