"""``python -m event_gateway.console``: the console's process, which ``serve`` starts."""

import sys

from event_gateway.console.server import main

if __name__ == "__main__":
    sys.exit(main())
