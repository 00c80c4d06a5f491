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
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.plugins.loader import connection_loader
from ansible.utils.display import Display

from ..module_utils._progress import INTERRUPTED, VARIABLE
from ._last_words import LastWords
from ._orphans import ended_with_ansible
from ._output import flush_each_line

_LOCAL = ("localhost", "127.0.0.1", "::1")

display = Display()
# A strategy loads an action's class in the main process, before it starts a worker for the task.
flush_each_line()


class ControllerAction(ActionBase):
    """The action behind every API module."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = dict(task_vars or {})
        result = super().run(tmp, task_vars)
        try:
            self._find_sources(self._task.args)
        except AnsibleActionFail as error:
            # Not raised: failed_when would not hold for that.
            return result | {"failed": True, "refused": True, "msg": str(error)}
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
        """Read each ``src`` of the module here, where roles and playbooks have their files."""
        steps = arguments.get("steps")
        for holder in [arguments, arguments.get("health"), *(steps if isinstance(steps, list) else [])]:
            source = holder.get("src") if isinstance(holder, dict) else None
            if isinstance(source, str) and source:
                holder["src"] = self._find_source(source)

    def _find_source(self, source: str) -> str:
        try:
            path: str = self._find_needle("files", source)
        except AnsibleError:
            raise AnsibleActionFail(
                f"src: there is no file {source} on the controller. A relative path is looked for in the files folder "
                "of the role and beside the playbook."
            ) from None
        return path

    def _follow(self, job: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Wait for an asynchronous job ourselves: Ansible would look for it on the task's host."""
        limit, self._task.async_val = self._task.async_val, 0
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            time.sleep(self._task.poll)
            status = self._job_status(job, "status", task_vars)
            if status.get("finished"):
                self._job_status(job, "cleanup", task_vars)
                return status
        return job | {
            "failed": True,
            "msg": f"The task did not complete within {limit} seconds; it goes on as job {job['ansible_job_id']}.",
        }

    def _job_status(self, job: dict[str, Any], mode: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        # Where the job itself says that it is: ~ need not mean the same to its shell and to ours.
        arguments = {
            "jid": job["ansible_job_id"],
            "mode": mode,
            "_async_dir": os.path.dirname(job["results_file"]),
        }
        status: dict[str, Any] = self._execute_module(
            module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars
        )
        return status

    @contextmanager
    def _progress(self) -> Iterator[None]:
        """Show the lines that the module writes into a pipe, as they come; the last one if Ansible ends under it."""
        folder = tempfile.mkdtemp(prefix="cloudops-", dir=constants.DEFAULT_LOCAL_TMP)
        pipe = os.path.join(folder, "progress")
        os.mkfifo(pipe, 0o600)
        # Opened for writing too: it then never ends while the module opens and closes it.
        descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        stop_read, stop_write = os.pipe()
        words = LastWords()
        thread = threading.Thread(target=_show_lines, args=(descriptor, stop_read, words), daemon=True)
        self._task.environment = [*(self._task.environment or []), {VARIABLE: pipe}]
        thread.start()
        try:
            with words.said_when_interrupted(), ended_with_ansible(words.say):
                yield
        finally:
            os.write(stop_write, b".")
            thread.join()
            self._task.environment.pop()
            for open_descriptor in (descriptor, stop_read, stop_write):
                os.close(open_descriptor)
            os.unlink(pipe)
            os.rmdir(folder)


def _show_lines(descriptor: int, stop: int, words: LastWords) -> None:
    """Display whole lines until told to stop; what is in the pipe by then is still shown."""
    rest = b""
    while True:
        readable, _writable, _errors = select.select([descriptor, stop], [], [])
        if descriptor in readable:
            *lines, rest = (rest + os.read(descriptor, 65536)).split(b"\n")
            for line in (line.decode("utf-8", "replace") for line in lines):
                if line.startswith(INTERRUPTED):
                    words.line = line.removeprefix(INTERRUPTED)
                else:
                    display.display(f"    {line}")
        elif stop in readable:
            return
