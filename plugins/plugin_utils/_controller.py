# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Running an API module where the SDK is: on the controller, in the controller's own Python.

What this mends (each measured): a bare ``localhost`` in the inventory is reached by SSH; a discovered interpreter is
not the virtual environment that Ansible runs in; a play's ``become`` looks for sudo in an execution environment; a
host with a Windows shell gets PowerShell on the controller.
"""

from __future__ import annotations

import os
import select
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from ..module_utils._progress import VARIABLE

_LOCAL = ("localhost", "127.0.0.1", "::1")

display = Display()


class ControllerAction(ActionBase):
    """The action behind every API module."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = dict(task_vars or {})
        result = super().run(tmp, task_vars)
        self._find_sources(self._task.args)
        if self._task.delegate_to in (None, "", *_LOCAL):
            self._move_to_controller(task_vars)
        if not self._task.async_val:
            with self._progress():
                return result | self._execute_module(task_vars=task_vars)
        job = self._execute_module(task_vars=task_vars, wrap_async=True)
        if self._task.poll and not job.get("failed"):
            return result | self._follow(job, task_vars)
        return result | job

    def _move_to_controller(self, task_vars: dict[str, Any]) -> None:
        """A local connection with a POSIX shell, no become, and this Python."""
        context = self._play_context.copy()
        context.shell, context.executable = "sh", "/bin/sh"
        context.become, context.pipelining = False, True
        connection: LocalConnection = connection_loader.get("ansible.builtin.local", context)
        connection.set_options(var_options={"ansible_pipelining": True})
        connection._shell.set_options(var_options={})
        self._connection, self._play_context = connection, context
        task_vars["ansible_python_interpreter"] = sys.executable
        if self._task.delegate_to:
            # The interpreter is then looked up in the delegated host's variables.
            delegated = dict(task_vars.get("ansible_delegated_vars") or {})
            host = dict(delegated.get(self._task.delegate_to) or {})
            delegated[self._task.delegate_to] = host | {"ansible_python_interpreter": sys.executable}
            task_vars["ansible_delegated_vars"] = delegated

    def _find_sources(self, arguments: dict[str, Any]) -> None:
        """Read ``src`` of the module and of its steps here, where roles and playbooks have their files."""
        steps = arguments.get("steps")
        for holder in [arguments, *(steps if isinstance(steps, list) else [])]:
            source = holder.get("src") if isinstance(holder, dict) else None
            if isinstance(source, str) and source:
                holder["src"] = self._find_needle("files", source)

    def _follow(self, job: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Wait for an asynchronous job ourselves: Ansible would look for it on the task's host."""
        deadline = time.monotonic() + self._task.async_val
        limit, self._task.async_val = self._task.async_val, 0
        status: dict[str, Any] = job
        while time.monotonic() < deadline:
            time.sleep(self._task.poll)
            status = self._execute_module(
                module_name="ansible.legacy.async_status",
                module_args={"jid": job["ansible_job_id"], "_async_dir": self._async_dir()},
                task_vars=task_vars,
            )
            if status.get("finished"):
                return status
        return status | {
            "failed": True,
            "msg": f"The task did not complete within {limit} seconds; it goes on as job {job['ansible_job_id']}.",
        }

    def _async_dir(self) -> str:
        return self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))

    @contextmanager
    def _progress(self) -> Iterator[None]:
        """Show the lines that the module writes into a pipe, as they come."""
        folder = tempfile.mkdtemp(prefix="cloudops-", dir=constants.DEFAULT_LOCAL_TMP)
        pipe = os.path.join(folder, "progress")
        os.mkfifo(pipe, 0o600)
        # Opened for writing too: it then never ends while the module opens and closes it.
        descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        stop_read, stop_write = os.pipe()
        thread = threading.Thread(target=_show_lines, args=(descriptor, stop_read), daemon=True)
        self._task.environment = [*(self._task.environment or []), {VARIABLE: pipe}]
        thread.start()
        try:
            yield
        finally:
            os.write(stop_write, b".")
            thread.join()
            self._task.environment.pop()
            for open_descriptor in (descriptor, stop_read, stop_write):
                os.close(open_descriptor)
            os.unlink(pipe)
            os.rmdir(folder)


def _show_lines(descriptor: int, stop: int) -> None:
    """Display whole lines until told to stop; what is in the pipe by then is still shown."""
    rest = b""
    while True:
        readable, _writable, _errors = select.select([descriptor, stop], [], [])
        if descriptor in readable:
            *lines, rest = (rest + os.read(descriptor, 65536)).split(b"\n")
            for line in lines:
                display.display(f"    {line.decode('utf-8', 'replace')}")
        elif stop in readable:
            return
