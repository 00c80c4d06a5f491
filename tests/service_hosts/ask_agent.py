# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the stand-in of the agent run a command: ask-agent COMMAND <INPUT. Exits 255 when the agent does not answer."""

import base64
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/aliyun-service.sock")
    # Ansible gives a command that reads nothing a terminal, which never ends.
    read = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
    asked = {"command": sys.argv[1], "input": base64.b64encode(read).decode()}
    connection.sendall(json.dumps(asked).encode() + b"\n")
    with connection.makefile("rb") as file:
        answer = file.read()
if not answer:
    print("The agent has ended: no result.", file=sys.stderr)
    sys.exit(255)
done = json.loads(answer)
sys.stdout.buffer.write(base64.b64decode(done["output"]))
sys.stderr.buffer.write(base64.b64decode(done["errors"]))
sys.exit(done["status"])
