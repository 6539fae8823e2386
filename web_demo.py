"""Chat with a model in the browser: `python web_demo.py --help`."""

import sys

from chatapp.web import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
