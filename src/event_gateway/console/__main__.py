"""``python -m event_gateway.console``: the console's process, which ``serve`` starts."""

import os
import sys

NICE = 5  # the console has less of the processor than deliveries have

if __name__ == "__main__":
    os.nice(NICE)  # before the imports, which cost most of its start
    from event_gateway.console.server import main

    sys.exit(main())
