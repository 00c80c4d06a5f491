# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of commands on an agent, on a clock that stands still. Each rule was measured on the real agent."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from ecs_simulator.agent.agent import POWER_COMMANDS, Agent
from ecs_simulator.agent.line import Line
from ecs_simulator.agent.task import Command, Task
from ecs_simulator.clock import ManualClock
from ecs_simulator.fleet_instances import Answer, InstanceSpec
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import PowerAction, Script
from ecs_simulator.machines.scripted import ScriptedMachine, ScriptedProcess


@dataclass
class Log:
    """Everything the agent reports, with the time."""

    clock: ManualClock
    lines: list[tuple[float, str, str]] = field(default_factory=list)
    ends: list[tuple[float, int | None]] = field(default_factory=list)
    """Exit codes of processes, whether the agent lives or not."""

    def add(self, what: str, task: Task) -> None:
        self.lines.append((round(self.clock.time(), 1), what, task.invocation_id))

    def running(self, task: Task) -> None:
        self.add("running", task)

    def output(self, task: Task, chunk: bytes) -> None:
        self.add(f"output {len(chunk)}", task)

    def finished(self, task: Task, exit_code: int, tail: bytes, dropped: int) -> None:
        self.add(f"finished {exit_code} {len(tail)}-{dropped}", task)

    def timed_out(self, task: Task, tail: bytes, dropped: int) -> None:
        self.add(f"timed out {len(tail)}-{dropped}", task)

    def failed(self, task: Task, error_code: str, error_info: str) -> None:
        self.add(f"failed {error_code}", task)

    def invalid(self, task: Task, error_code: str, error_info: str) -> None:
        self.add(f"invalid {error_code}", task)

    def verified(self, task: Task) -> None:
        self.add("verified", task)

    def stopped(self, task: Task) -> None:
        self.add("stopped", task)

    def process_started(self, task: Task) -> None:
        pass

    def process_ended(self, task: Task, exit_code: int | None) -> None:
        self.ends.append((round(self.clock.time(), 1), exit_code))

    def report_lost(self, task: Task) -> None:
        self.add("lost", task)

    def of(self, invocation_id: str) -> list[tuple[float, str]]:
        return [(time, what) for time, what, of in self.lines if of == invocation_id]


class RecordingMachine(ScriptedMachine):
    """Also remembers what was killed and run."""

    def __init__(self, spec: InstanceSpec, clock: ManualClock) -> None:
        super().__init__(spec, clock)
        self.clock = clock
        self.processes: dict[str, ScriptedProcess] = {}
        self.commands: list[tuple[float, str]] = []
        self.downs: list[tuple[float, PowerAction]] = []
        self.on_down = lambda action: self.downs.append((round(clock.time(), 1), action))

    async def start(self, script: Script) -> ScriptedProcess:
        process = self.processes[script.name] = await super().start(script)
        return process

    async def run(self, command: str) -> None:
        self.commands.append((round(self.clock.time(), 1), command))
        await super().run(command)


class Bench:
    """An agent on a scripted machine; the text of a command is the name of its answer."""

    def __init__(self, os_type: str = "linux") -> None:
        answers = (
            Answer(match="quick", output="done\n"),
            Answer(match="sleep 2", seconds=2.0),
            Answer(match="hours", seconds=7200.0, output="x" * 100),
            Answer(match="flood", output="x" * 44_000, seconds=30.0),
            Answer(match="restart", exit_code=194 if os_type == "linux" else 3010, output="bye\n"),
            Answer(match="stop", exit_code=193),
            Answer(match="power off", exit_code=3009),
        )
        spec = InstanceSpec(id="i-bp1agent00000001", name="a", region_id="r", zone_id="z", os=os_type, answers=answers)
        self.clock = ManualClock(start=0.0)
        self.log = Log(self.clock)
        self.machine = RecordingMachine(spec, self.clock)
        self.line = Line()
        self._os_type = os_type
        self._number = 0
        self.start_agent()

    def start_agent(self) -> None:
        self.agent = Agent(self.machine, POWER_COMMANDS[self._os_type], self.clock, self.log, self.line, Settings())

    def send(self, content: str, *, timeout_s: int = 60, id_: str = "", **more: Any) -> Task:
        self._number += 1
        kind = "RunShellScript"
        command = Command(id="c-1", type=kind, content=content.encode(), timeout_s=timeout_s, **more)
        task = Task(id_ or f"t-{self._number}", command, "i-bp1agent00000001", self.clock.time())
        self.agent.deliver(task)
        return task


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.machine.boot("boot-1")
    return bench


async def test_a_command_runs_and_reports(bench: Bench) -> None:
    bench.send("quick")
    await bench.clock.advance(1)
    # 0.2 s after the exit the pipes are drained.
    assert bench.log.of("t-1") == [(0.0, "running"), (0.2, "finished 0 5-0")]


async def test_ten_run_at_once_and_the_rest_waits(bench: Bench) -> None:
    for _number in range(12):
        bench.send("sleep 2")
    await bench.clock.advance(10)
    starts = sorted(time for time, what, _of in bench.log.lines if what == "running")
    assert starts == [0.0] * 10 + [2.2] * 2


async def test_the_report_goes_out_before_the_power_action(bench: Bench) -> None:
    bench.send("restart")
    await bench.clock.advance(5)
    assert bench.log.of("t-1")[-1] == (0.2, "finished 194 4-0")
    assert bench.machine.commands == [(0.3, "shutdown -r now")]
    assert bench.machine.downs == [(0.3, PowerAction.RESTART)]


async def test_193_powers_off(bench: Bench) -> None:
    bench.send("stop")
    await bench.clock.advance(5)
    assert bench.machine.commands == [(0.3, "shutdown -h now")]


async def test_a_timeout_kills_and_takes_no_power_action(bench: Bench) -> None:
    bench.send("hours", timeout_s=60)
    await bench.clock.advance(59)
    assert [what for _time, what in bench.log.of("t-1")] == ["running", "output 100"]
    await bench.clock.advance(10)
    assert bench.log.of("t-1")[-1] == (60.2, "timed out 0-0")
    assert bench.machine.commands == []


async def test_output_streams_in_chunks_and_ends_with_the_tail(bench: Bench) -> None:
    bench.send("flood")
    await bench.clock.advance(60)
    assert bench.log.of("t-1") == [
        (0.0, "running"),
        (1.0, "output 2048"),
        (2.0, "output 2048"),
        (3.0, "output 2048"),
        (30.2, "finished 0 5856-32000"),
    ]


async def test_a_run_by_the_clock_reports_output_at_its_end(bench: Bench) -> None:
    bench.send("flood", repeat="Period")
    await bench.clock.advance(60)
    assert bench.log.of("t-1") == [(0.0, "running"), (30.2, "finished 0 12000-32000")]


async def test_a_timeout_of_nothing_is_none(bench: Bench) -> None:
    bench.send("hours", timeout_s=0)
    await bench.clock.advance(7201)
    assert bench.log.of("t-1")[-1] == (7200.2, "finished 0 0-0")


async def test_a_stop_of_what_the_agent_does_not_have_is_acknowledged(bench: Bench) -> None:
    task = bench.send("quick")
    await bench.clock.advance(1)
    bench.agent.stop(task)
    assert bench.log.of("t-1")[-1] == (1.0, "stopped")


async def test_a_task_that_comes_again_is_not_run_again(bench: Bench) -> None:
    bench.send("quick", id_="t-1")
    await bench.clock.advance(1)
    bench.send("quick", id_="t-1")
    await bench.clock.advance(1)
    assert bench.log.of("t-1")[-1] == (1.0, "failed ScriptFileExisted")


@pytest.mark.parametrize(("repeat", "again"), [("NextRebootOnly", False), ("EveryReboot", True), ("Period", True)])
async def test_what_repeats_runs_its_file_again(bench: Bench, repeat: str, again: bool) -> None:
    for _time in range(2):
        bench.send("quick", id_="t-1", repeat=repeat)
        await bench.clock.advance(1)
    end = "finished 0 5-0" if again else "failed ScriptFileExisted"
    assert bench.log.of("t-1")[-1][1] == end


async def test_a_dry_run_saves_nothing_and_is_reported_once(bench: Bench) -> None:
    for _number in range(10):
        bench.send("sleep 2")
    # It does not wait for the workers.
    bench.send("quick", id_="look", repeat="DryRun")
    await bench.clock.advance(1)
    assert bench.log.of("look") == [(0.0, "verified")]
    bench.send("quick", id_="dry", repeat="DryRun", container_name="nginx")
    bench.line.up = False
    bench.send("quick", id_="unheard", repeat="DryRun")
    await bench.clock.advance(1)
    bench.line.up = True
    await bench.clock.advance(10)
    assert [what for _time, what in bench.log.of("dry")] == ["invalid ContainerConnectFailed"]
    assert bench.log.of("unheard") == []
    bench.send("quick", id_="dry")
    await bench.clock.advance(1)
    assert bench.log.of("dry")[-1][1] == "finished 0 5-0"


async def test_a_stop_is_acknowledged_and_nothing_else_is_reported(bench: Bench) -> None:
    task = bench.send("hours")
    await bench.clock.advance(5)
    bench.agent.stop(task)
    await bench.clock.advance(5)
    assert [what for _time, what in bench.log.of("t-1")] == ["running", "output 100", "stopped"]


async def test_a_stopped_command_in_the_queue_runs_all_the_same(bench: Bench) -> None:
    for _number in range(10):
        bench.send("sleep 2")
    task = bench.send("restart")
    await bench.clock.advance(1)
    bench.agent.stop(task)
    await bench.clock.advance(10)
    # Acknowledged at once, yet it runs when a worker is free, unreported, and restarts the machine.
    assert bench.log.of("t-11") == [(1.0, "stopped"), (2.2, "running")]
    assert bench.machine.commands == [(2.5, "shutdown -r now")]


async def test_what_runs_when_the_machine_goes_down_is_not_reported(bench: Bench) -> None:
    bench.send("hours")
    await bench.clock.advance(1.5)
    await bench.machine.cut_power()
    await bench.clock.advance(10)
    assert [what for _time, what in bench.log.of("t-1")] == ["running", "output 100"]


async def test_a_killed_agent_leaves_its_script_alive_and_the_next_one_refuses_it(bench: Bench) -> None:
    task = bench.send("sleep 2")
    await bench.clock.advance(0.5)
    bench.agent.end()
    bench.start_agent()
    bench.agent.deliver(task)
    await bench.clock.advance(10)
    assert bench.log.of("t-1") == [(0.0, "running"), (0.5, "failed ScriptFileExisted")]
    assert bench.log.ends == [(2.0, 0)]


async def test_a_killed_agent_forgets_its_queue_and_the_next_one_runs_it(bench: Bench) -> None:
    for _number in range(10):
        bench.send("sleep 2")
    task = bench.send("quick")
    await bench.clock.advance(0.5)
    bench.agent.end()
    await bench.clock.advance(10)
    assert bench.log.of("t-11") == []
    bench.start_agent()
    bench.agent.deliver(task)
    await bench.clock.advance(1)
    assert bench.log.of("t-11") == [(10.5, "running"), (10.7, "finished 0 5-0")]


async def test_a_killed_agent_takes_no_power_action(bench: Bench) -> None:
    bench.send("restart")
    await bench.clock.advance(0.25)
    assert bench.log.of("t-1")[-1] == (0.2, "finished 194 4-0")
    bench.agent.end()
    await bench.clock.advance(10)
    assert bench.machine.commands == []


async def test_a_task_that_the_agent_still_has_is_not_taken_again(bench: Bench) -> None:
    task = bench.send("sleep 2")
    await bench.clock.advance(1)
    bench.agent.deliver(task)
    await bench.clock.advance(10)
    assert bench.log.of("t-1") == [(0.0, "running"), (2.2, "finished 0 0-0")]


async def test_a_final_report_is_tried_four_times(bench: Bench) -> None:
    bench.send("restart")
    await bench.clock.advance(0)
    bench.line.up = False
    await bench.clock.advance(6.1)
    bench.line.up = True
    await bench.clock.advance(10)
    assert bench.log.of("t-1")[-1] == (6.2, "finished 194 4-0")


async def test_a_report_that_is_lost_for_good_does_not_hold_up_the_power_action(bench: Bench) -> None:
    bench.line.lose_report()
    bench.send("restart")
    await bench.clock.advance(20)
    assert bench.log.of("t-1") == [(0.0, "running"), (6.2, "lost")]
    assert bench.machine.commands == [(6.3, "shutdown -r now")]


async def test_the_start_and_output_are_said_once_or_not_at_all(bench: Bench) -> None:
    bench.line.up = False
    bench.send("flood")
    await bench.clock.advance(1.5)
    bench.line.up = True
    await bench.clock.advance(60)
    assert bench.log.of("t-1")[0] == (2.0, "output 2048")
    assert bench.log.of("t-1")[-1] == (30.2, "finished 0 5856-29952")


async def test_heartbeats_come_at_the_start_and_each_minute(bench: Bench) -> None:
    assert bench.agent.last_heartbeat == 0.0
    await bench.clock.advance(150)
    assert bench.agent.last_heartbeat == 120.0


@pytest.mark.parametrize(
    ("content", "command"), [("restart", "shutdown -f -r -t 0"), ("power off", "shutdown -f -s -t 0")]
)
async def test_windows_has_its_own_exit_codes(content: str, command: str) -> None:
    bench = Bench(os_type="windows")
    await bench.machine.boot("boot-1")
    bench.send(content)
    await bench.clock.advance(1)
    assert bench.machine.commands == [(0.3, command)]
    bench = Bench(os_type="windows")
    await bench.machine.boot("boot-1")
    bench.send("stop")
    await bench.clock.advance(1)
    assert bench.machine.commands == []  # 193 means nothing there
