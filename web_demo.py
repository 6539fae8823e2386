"""Chat with a model in the browser: `python web_demo.py --help`."""

import signal
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python imports: no traceback
    from chatapp.web import main

    sys.exit(main(sys.argv[1:]))
