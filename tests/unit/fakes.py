# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the clock and the API, for tests of decisions."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.cloudops.alibaba.plugins.module_utils._progress import Progress
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import ApiError, NoAnswer
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import (
    AgentRow,
    EventRow,
    InstanceRow,
    InvocationRow,
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
    deaf: Callable[[], Exception | None] = lambda: None
    on_reboot: Callable[[str], PowerRow | Exception] = lambda instance_id: PowerRow(instance_id, "200", "success")
    on_power: Callable[[str, str], PowerRow | Exception] = lambda action, instance_id: PowerRow(instance_id, "200", "")
    events: list[EventRow] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def of(cls, clock: FakeClock, *ids: str, **more: Any) -> FakeApi:
        return cls(clock, {id_: instance(id_) for id_ in ids}, {id_: agent(id_) for id_ in ids}, **more)

    def called(self, name: str) -> list[Any]:
        return [what for call, what in self.calls if call == name]

    def describe_instances(self, instance_ids: Sequence[str] | None = None, **_more: Any) -> Iterator[InstanceRow]:
        self.calls.append(("describe_instances", instance_ids))
        if error := self.deaf():
            raise error
        wanted = self.instances if instance_ids is None else instance_ids
        yield from [self.instances[id_] for id_ in wanted if id_ in self.instances]

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]:
        self.calls.append(("describe_cloud_assistant_status", instance_ids))
        return [self.agents[id_] for id_ in instance_ids if id_ in self.agents]

    def run_command(
        self,
        instance_ids: Sequence[str],
        *,
        content: str,
        tags: Mapping[str, str] | None = None,
        **more: Any,
    ) -> tuple[str, str]:
        self.calls.append(("run_command", list(instance_ids)))
        error = self.refuse(instance_ids)
        if error:
            raise error
        invoke_id = f"t-{next(self.numbers)}"
        self.rows[invoke_id] = {}
        self.tags[invoke_id] = tags or {}
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

    def describe_invocations(self, tags: Mapping[str, str]) -> Iterator[InvocationRow]:
        self.calls.append(("describe_invocations", dict(tags)))
        self._finish()
        for number, (invoke_id, rows) in enumerate(self.rows.items()):
            if tags.items() <= self.tags[invoke_id].items():
                yield InvocationRow(invoke_id, f"c-{invoke_id}", "RunShellScript", rows, START + number)

    def describe_invocation_results(self, invoke_id: str) -> Iterator[TaskRow]:
        self.calls.append(("describe_invocation_results", invoke_id))
        yield from self.rows.get(invoke_id, {}).values()

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

    def _power(self, action: str, instance_ids: Sequence[str]) -> list[PowerRow]:
        self.calls.append((action, list(instance_ids)))
        answers = [self.on_power(action, id_) for id_ in instance_ids]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in answers if isinstance(answer, PowerRow)]
