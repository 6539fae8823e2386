"""Chat with a model in the terminal: `python cli_demo.py --help`."""

import sys

from chatapp.terminal import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
