# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in for the Cloud Assistant Agent: it goes by its name, tells a version, and runs commands as its children.

It answers on a socket with what a command has printed. When it ends, no answer comes, and the commands go on, as with
the real one.
"""

import base64
import json
import os
import socketserver
import subprocess
import sys

SOCKET = "/run/aliyun-service.sock"


class Command(socketserver.StreamRequestHandler):
    def handle(self):
        asked = json.loads(self.rfile.readline())
        process = subprocess.Popen(
            ["sh", "-c", asked["command"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        output, errors = process.communicate(base64.b64decode(asked["input"]))
        answer = {
            "status": process.returncode,
            "output": base64.b64encode(output).decode(),
            "errors": base64.b64encode(errors).decode(),
        }
        self.wfile.write(json.dumps(answer).encode())


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


if "--version" in sys.argv:
    print("2.2.3.578")
elif os.path.exists("/etc/agent-ends"):
    sys.exit("The test has asked for an agent that ends at once.")
else:
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    Server(SOCKET, Command).serve_forever()
