# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the clock and the API, for tests of decisions."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import Progress
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.command_shapes import CommandRow, Running
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import ApiError, NoAnswer
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import (
    AgentRow,
    EventRow,
    InstanceRow,
    InvocationRow,
    ManagedRow,
    PowerRow,
    TaskRow,
)

REGION = "cn-test"
START = 1_800_000_000.0


class FakeClock:
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = START
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep()


class Lines(Progress):
    """Progress that is kept."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        super().say(line)
        self.lines.append(line)


def api_error(code: str, *, status: int = 400, retry_after_s: float | None = None) -> ApiError:
    return ApiError("A call", code=code, message="no", request_id="R-1", status=status, retry_after_s=retry_after_s)


def no_answer(*, sent: bool) -> NoAnswer:
    return NoAnswer("A call", "the connection was closed", sent=sent)


def instance(instance_id: str, **more: Any) -> InstanceRow:
    row = InstanceRow(
        instance_id=instance_id,
        name=instance_id,
        region_id=REGION,
        zone_id=f"{REGION}-a",
        status="Running",
        os_type="linux",
        os_name="",
        private_ip="",
        public_ip="",
        tags={},
        started=START - 1000,
    )
    return replace(row, **more)


def agent(instance_id: str, **more: Any) -> AgentRow:
    row = AgentRow(
        instance_id=instance_id, online=True, version="2.2.3.1065", os_type="linux", last_heartbeat=START - 30
    )
    return replace(row, **more)


def managed(instance_id: str, **more: Any) -> ManagedRow:
    row = ManagedRow(instance_id=instance_id, os_type="linux", connected=True, agent_version="2.2.3.1065")
    return replace(row, **more)


def task(invoke_id: str, instance_id: str, **more: Any) -> TaskRow:
    row = TaskRow(
        invoke_id=invoke_id,
        instance_id=instance_id,
        status="Success",
        exit_code=0,
        error_code="",
        error_info="",
        output=b"",
        dropped=0,
        started=START,
        finished=START + 1,
    )
    return replace(row, **more)


def saved(command_id: str, **more: Any) -> CommandRow:
    row = CommandRow(
        command_id=command_id,
        name="a command",
        description="",
        type="RunShellScript",
        content="echo",
        timeout_s=60,
        working_dir="",
        launcher="",
        enable_parameter=False,
        parameter_names=(),
        tags={},
        resource_group_id="",
        created=START,
        invoke_times=0,
    )
    return replace(row, **more)


@dataclass
class FakeApi:
    """An API whose commands run as ``run`` says, after ``seconds``, and whose instances are as the dicts say."""

    clock: FakeClock
    instances: dict[str, InstanceRow]
    agents: dict[str, AgentRow]
    run: Callable[[str, str, str], TaskRow] = lambda invoke_id, instance_id, content: task(invoke_id, instance_id)
    region_id: str = REGION
    calls: list[tuple[str, Any]] = field(default_factory=list)
    rows: dict[str, dict[str, TaskRow]] = field(default_factory=dict)
    tags: dict[str, Mapping[str, str]] = field(default_factory=dict)
    seconds: Callable[[str], float] = lambda instance_id: 0.0
    unfinished: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    refuse: Callable[[Sequence[str]], Exception | None] = lambda ids: None
    refuse_stop: Callable[[], Exception | None] = lambda: None
    commands: dict[str, CommandRow] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    sent_file: Callable[[str, str], TaskRow] = task
    refuse_tags: Callable[[], Exception | None] = lambda: None
    deaf: Callable[[], Exception | None] = lambda: None
    on_reboot: Callable[[str], PowerRow | Exception] = lambda instance_id: PowerRow(instance_id, "200", "success")
    on_power: Callable[[str, str], PowerRow | Exception] = lambda action, instance_id: PowerRow(instance_id, "200", "")
    managed: dict[str, ManagedRow] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def of(cls, clock: FakeClock, *ids: str, **more: Any) -> FakeApi:
        return cls(clock, {id_: instance(id_) for id_ in ids}, {id_: agent(id_) for id_ in ids}, **more)

    def called(self, name: str) -> list[Any]:
        return [what for call, what in self.calls if call == name]

    def describe_instances(
        self,
        instance_ids: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        zone_id: str | None = None,
        **_more: Any,
    ) -> Iterator[InstanceRow]:
        self.calls.append(("describe_instances", instance_ids))
        if error := self.deaf():
            raise error
        wanted = self.instances if instance_ids is None else instance_ids
        known = [self.instances[id_] for id_ in wanted if id_ in self.instances]
        known = [row for row in known if zone_id in (None, row.zone_id)]
        yield from [row for row in known if (tags or {}).items() <= row.tags.items()]

    def describe_managed_instances(self, instance_ids: Sequence[str]) -> Iterator[ManagedRow]:
        self.calls.append(("describe_managed_instances", list(instance_ids)))
        yield from (self.managed[id_] for id_ in instance_ids if id_ in self.managed)

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]:
        self.calls.append(("describe_cloud_assistant_status", instance_ids))
        return [self.agents[id_] for id_ in instance_ids if id_ in self.agents]

    def run_command(
        self,
        instance_ids: Sequence[str],
        *,
        content: str,
        running: Running | None = None,
        **more: Any,
    ) -> tuple[str, str]:
        self.calls.append(("run_command", list(instance_ids)))
        self.sent.append({"content": content, "running": running, **more})
        return self._start(instance_ids, content, running)

    def invoke_command(self, instance_ids: Sequence[str], *, command_id: str, running: Running) -> tuple[str, str]:
        self.calls.append(("invoke_command", list(instance_ids)))
        self.sent.append({"command_id": command_id, "running": running})
        return self._start(instance_ids, self.commands[command_id].content, running)[0], command_id

    def _start(self, instance_ids: Sequence[str], content: str, running: Running | None) -> tuple[str, str]:
        error = self.refuse(instance_ids)
        if error:
            raise error
        invoke_id = f"t-{next(self.numbers)}"
        self.rows[invoke_id] = {}
        self.tags[invoke_id] = running.tags if running else {}
        with self.lock:
            self._begin(invoke_id, instance_ids, content)
        self._finish()
        return invoke_id, f"c-{invoke_id}"

    def _begin(self, invoke_id: str, instance_ids: Sequence[str], content: str) -> None:
        for id_ in instance_ids:
            self.rows[invoke_id][id_] = task(invoke_id, id_, status="Running", exit_code=None)
            self.unfinished[invoke_id, id_] = self.clock.now + self.seconds(id_), content

    def _finish(self) -> None:
        # Requests come from several threads.
        with self.lock:
            self._finish_alone()

    def _finish_alone(self) -> None:
        for (invoke_id, id_), (due, content) in list(self.unfinished.items()):
            if self.clock.now >= due:
                del self.unfinished[invoke_id, id_]
                self.rows[invoke_id][id_] = self.run(invoke_id, id_, content)

    def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
        self.calls.append(("describe_invocation", invoke_id))
        self._finish()
        rows = self.rows.get(invoke_id)
        return InvocationRow(invoke_id, f"c-{invoke_id}", "RunShellScript", rows) if rows is not None else None

    def describe_invocations(
        self, tags: Mapping[str, str], *, invoke_id: str | None = None, **_more: Any
    ) -> Iterator[InvocationRow]:
        self.calls.append(("describe_invocations", dict(tags)))
        self._finish()
        wanted = invoke_id
        for number, (invoke_id, rows) in enumerate(self.rows.items()):
            if wanted in (None, invoke_id) and tags.items() <= self.tags[invoke_id].items():
                yield InvocationRow(invoke_id, f"c-{invoke_id}", "RunShellScript", rows, START + number)

    def describe_invocation_results(self, invoke_id: str) -> Iterator[TaskRow]:
        self.calls.append(("describe_invocation_results", invoke_id))
        yield from self.rows.get(invoke_id, {}).values()

    def stop_invocation(self, invoke_id: str, instance_ids: Sequence[str]) -> None:
        self.calls.append(("stop_invocation", list(instance_ids)))
        if error := self.refuse_stop():
            raise error
        for id_ in instance_ids:
            if self.unfinished.pop((invoke_id, id_), None):
                self.rows[invoke_id][id_] = task(invoke_id, id_, status="Terminated", exit_code=None)

    def describe_commands(
        self, *, command_id: str | None = None, name: str | None = None, **_more: Any
    ) -> Iterator[CommandRow]:
        self.calls.append(("describe_commands", command_id or name))
        for id_, row in list(self.commands.items()):
            if command_id in (None, id_) and fnmatch(row.name, name or "*"):
                yield row

    def create_command(self, command: CommandRow) -> str:
        command_id = f"c-new-{next(self.numbers)}"
        self.calls.append(("create_command", command_id))
        self.commands[command_id] = replace(command, command_id=command_id)
        return command_id

    def modify_command(self, command_id: str, changes: Mapping[str, Any]) -> None:
        self.calls.append(("modify_command", dict(changes)))
        self.commands[command_id] = replace(self.commands[command_id], **changes)

    def delete_command(self, command_id: str) -> None:
        self.calls.append(("delete_command", command_id))
        if self.commands.pop(command_id, None) is None:
            raise api_error("InvalidCmdId.NotFound", status=404)

    def send_file(self, instance_ids: Sequence[str], *, folder: str, name: str, content: bytes, timeout_s: int) -> str:
        self.calls.append(("send_file", list(instance_ids)))
        if error := self.refuse(instance_ids):
            raise error
        with self.lock:
            for id_ in instance_ids:
                self.files.setdefault(id_, {})[f"{folder}/{name}"] = content
        return f"f-{next(self.numbers)}"

    def describe_send_file_results(self, invoke_id: str) -> dict[str, TaskRow]:
        self.calls.append(("describe_send_file_results", invoke_id))
        return {id_: self.sent_file(invoke_id, id_) for id_ in self.instances}

    def reboot_instances(self, instance_ids: Sequence[str], *, force: bool, within_s: float) -> list[PowerRow]:
        self.calls.append(("reboot_instances", list(instance_ids)))
        answers = [self.on_reboot(id_) for id_ in instance_ids]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, PowerRow)]

    def start_instances(self, instance_ids: Sequence[str], *, within_s: float) -> list[PowerRow]:
        return self._power("start_instances", instance_ids)

    def stop_instances(
        self, instance_ids: Sequence[str], *, force: bool, stopped_mode: str | None, within_s: float
    ) -> list[PowerRow]:
        return self._power("stop_instances", instance_ids)

    def install_cloud_assistant(self, instance_ids: Sequence[str], *, within_s: float) -> None:
        self._power("install_cloud_assistant", instance_ids)

    def describe_system_events(self, instance_ids: Sequence[str], statuses: Sequence[str]) -> Iterator[EventRow]:
        self.calls.append(("describe_system_events", list(instance_ids)))
        yield from (event for event in self.events if event.instance_id in instance_ids and event.status in statuses)

    def tag_instances(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        self.calls.append(("tag_instances", list(instance_ids)))
        if error := self.refuse_tags():
            raise error
        for id_ in instance_ids:
            self.instances[id_] = replace(self.instances[id_], tags={**self.instances[id_].tags, **tags})

    def untag_instances(self, instance_ids: Sequence[str], keys: Sequence[str]) -> None:
        self.calls.append(("untag_instances", list(instance_ids)))
        if error := self.refuse_tags():
            raise error
        for id_ in instance_ids:
            tags = {key: value for key, value in self.instances[id_].tags.items() if key not in keys}
            self.instances[id_] = replace(self.instances[id_], tags=tags)

    def _power(self, action: str, instance_ids: Sequence[str]) -> list[PowerRow]:
        self.calls.append((action, list(instance_ids)))
        answers = [self.on_power(action, id_) for id_ in instance_ids]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, PowerRow)]
