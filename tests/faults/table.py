# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the fault matrix: each fault of the simulator, where and when it comes, and what is right then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EXIT_CODE, API = METHODS = ("exit_code", "api")

Outcome = tuple[str, str | None]
"""Status and blame of a verdict."""

WELL: frozenset[Outcome] = frozenset({("restarted", None)})

# What ends by itself gets the time that a loaded machine needs. What never ends gets little.
PATIENT = {"settle": 10, "restart": 120, "batch": 300}
NEVER_BACK = PATIENT | {"restart": 25}
NO_ANSWER = PATIENT | {"batch": 25}


@dataclass(frozen=True)
class Row:
    """A fault, and the outcomes that are right for the host that it hits.

    ``fault`` has the keys of a fleet file's entry, with ``action`` for one of requests: those hit who asks first, which
    is the first batch. ``guard`` is whether the step that runs first has one. ``instance`` has more keys of the host.
    """

    name: str
    fault: Mapping[str, Any]
    outcomes: frozenset[Outcome] = WELL
    batch: int = 1
    methods: tuple[str, ...] = METHODS
    guard: bool = True
    timeouts: Mapping[str, int] = field(default_factory=lambda: PATIENT)
    settings: Mapping[str, Any] = field(default_factory=dict)
    instance: Mapping[str, Any] = field(default_factory=dict)

    def entry(self, host: str) -> dict[str, Any]:
        """It in the fleet file."""
        keys = dict(self.fault)
        action = keys.pop("action", None)
        return {"on": {"action": action} if action else {"instance": host}, **keys}


def _is(*outcomes: Outcome) -> frozenset[Outcome]:
    return frozenset(outcomes)


def _logged(text: str) -> dict[str, str]:
    return {"syslog": text}


IN_A_STEP = _logged("first is at work")
AT_A_REQUEST = _logged("state restart: ")
AT_THE_END = _logged("state done")

TABLE = (
    # --- the agent
    Row("agent killed in a step", {"fault": "agent_killed", "after": IN_A_STEP, "seconds": 1}),
    Row("agent killed at a request", {"fault": "agent_killed", "after": AT_A_REQUEST, "seconds": 1}, batch=2),
    Row(
        "agent killed for good",
        {"fault": "agent_killed", "after": IN_A_STEP, "seconds": 3600},
        _is(("unknown", "timeout")),
        timeouts=NO_ANSWER,
    ),
    # The agent tries to tell of the end for longer than that, as the real one does.
    Row(
        "agent offline in a step",
        {"fault": "agent_offline", "after": IN_A_STEP, "seconds": 5},
        batch=2,
        settings={"report_retry_s": 2.0},
    ),
    Row(
        "agent offline before all",
        {"fault": "agent_offline"},
        _is(("failed", "offline")),
    ),
    Row(
        "agent offline from the restart on",
        {"fault": "agent_offline", "after": "shutdown"},
        _is(("unknown", "lost")),
        batch=2,
        timeouts=NEVER_BACK,
    ),
    Row("heartbeat slow", {"fault": "heartbeat_slow", "seconds": 3600}),
    Row("report lost", {"fault": "report_lost"}, _is(("unknown", "timeout")), methods=(API,), timeouts=NO_ANSWER),
    # The restart that follows tells the service that the command is over.
    Row("report before a restart lost", {"fault": "report_lost"}, methods=(EXIT_CODE,)),
    Row(
        "last report lost",
        {"fault": "report_lost", "after": AT_THE_END},
        _is(("unknown", "timeout")),
        batch=2,
        timeouts=NO_ANSWER,
    ),
    Row("output flood at first", {"fault": "output_flood"}, batch=2),
    Row("output flood after the restart", {"fault": "output_flood", "after": "shutdown"}),
    # --- the machine
    Row("boot slow", {"fault": "boot_slow", "seconds": 5}, batch=2),
    Row("boot too slow", {"fault": "boot_slow", "seconds": 3600}, _is(("unknown", "lost")), timeouts=NEVER_BACK),
    Row("boot stuck", {"fault": "boot_stuck"}, _is(("unknown", "lost")), batch=2, timeouts=NEVER_BACK),
    Row("boot twice", {"fault": "boot_twice"}),
    Row("boot twice, later", {"fault": "boot_twice", "seconds": 0.5}, batch=2),
    Row("boot without agent", {"fault": "boot_without_agent"}, _is(("unknown", "lost")), timeouts=NEVER_BACK),
    Row("clock fast", {"fault": "clock_skew", "seconds": 600}, _is(("failed", "timeout"))),
    Row("clock slow", {"fault": "clock_skew", "seconds": -600}, _is(("failed", "instance")), batch=2),
    Row("clock a little slow", {"fault": "clock_skew", "seconds": -60}),
    Row("disk full", {"fault": "disk_full"}, _is(("failed", "instance")), batch=2),
    Row("disk full in a step", {"fault": "disk_full", "after": IN_A_STEP}, _is(("failed", "instance"))),
    Row("power lost in a step", {"fault": "power_loss", "after": IN_A_STEP}),
    Row(
        "power lost in a step without a guard",
        {"fault": "power_loss", "after": IN_A_STEP},
        _is(("failed", "lost")),
        batch=2,
        guard=False,
    ),
    Row("power lost at a request", {"fault": "power_loss", "after": AT_A_REQUEST}),
    Row("power lost at a boot", {"fault": "power_loss", "after": "boot"}, batch=2),
    Row("power lost at the end", {"fault": "power_loss", "after": AT_THE_END}),
    Row("released before all", {"fault": "instance_released"}, _is(("failed", "offline"))),
    Row("released in a step", {"fault": "instance_released", "after": IN_A_STEP}, _is(("failed", "instance")), batch=2),
    Row("released in a restart", {"fault": "instance_released", "after": "shutdown"}, _is(("failed", "instance"))),
    # --- requests that had no effect
    Row("throttled", {"action": "*", "fault": "throttle", "times": 5, "seconds": 0.5}),
    Row("commands throttled", {"action": "RunCommand", "fault": "throttle", "times": 3}),
    Row("restarts throttled", {"action": "RebootInstances", "fault": "throttle", "times": 2}, methods=(API,)),
    Row("command cut off", {"action": "RunCommand", "fault": "connection_cut", "times": 2}),
    Row("command unavailable", {"action": "RunCommand", "fault": "http_503", "times": 2}),
    # Nobody can know that it had none, so it is not sent again.
    Row(
        "restart unavailable",
        {"action": "RebootInstances", "fault": "http_503"},
        _is(("unknown", "lost")),
        methods=(API,),
    ),
    Row("reading cut off", {"action": "Describe*", "fault": "connection_cut", "times": 4}),
    Row("reading broken", {"action": "Describe*", "fault": "http_500", "times": 4}),
    # --- requests that had an effect
    Row("command's answer cut off", {"action": "RunCommand", "fault": "connection_cut", "took_effect": True}),
    Row("command's answer broken", {"action": "RunCommand", "fault": "http_500", "took_effect": True, "times": 2}),
    Row(
        "restart's answer cut off",
        {"action": "RebootInstances", "fault": "connection_cut", "took_effect": True},
        methods=(API,),
    ),
    Row(
        "restart's answer broken",
        {"action": "RebootInstances", "fault": "http_503", "took_effect": True},
        methods=(API,),
    ),
    Row("slow", {"action": "*", "fault": "slow", "times": 6, "seconds": 2}),
    Row("restart slow", {"action": "RebootInstances", "fault": "slow", "seconds": 5}, methods=(API,)),
    # --- answers that are not true
    Row("invocations stale", {"action": "DescribeInvocations", "fault": "stale", "times": 3}),
    Row("results stale", {"action": "DescribeInvocationResults", "fault": "stale", "times": 2}),
    # Nothing is done to what the service does not know.
    Row("agents stale", {"action": "DescribeCloudAssistantStatus", "fault": "stale"}, _is(("failed", "offline"))),
    Row("instances stale", {"action": "DescribeInstances", "fault": "stale"}, _is(("failed", "offline"))),
    # What there is a page of, in batches of two hosts, and a second one.
    Row(
        "event on two pages",
        {"action": "DescribeInstanceHistoryEvents", "fault": "duplicate_row"},
        instance={"events": [{"type": "InstanceExpiration.Stop"}] * 101},
    ),
)
