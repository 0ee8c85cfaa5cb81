"""Runs ``python -m MODULE WORDS`` in a process forked from the warm interpreter.

For clients that start the command themselves: ``python -I -S tests/support/forked_command.py
ADDRESS MODULE WORDS`` takes the place of it, and 20 ms instead of two seconds. It imports little,
as each call is an interpreter of its own.
"""

import json
import os
import socket
import sys

if __name__ == "__main__":
    address, module, *words = sys.argv[1:]
    request = {
        "module": module, "argv": words, "cwd": os.getcwd(), "environ": dict(os.environ),
        "terminal": False,
    }  # fmt: skip
    report, theirs = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as interpreter:
        interpreter.connect(f"\0{address}")
        # The forked process ends with this connection.
        socket.send_fds(interpreter, [json.dumps(request).encode()], [0, 1, 2, theirs])
        os.close(theirs)
        with open(report) as lines:
            _pid, status = lines.readline(), int(lines.readline() or 1)
    sys.exit(status if status >= 0 else 128 - status)
