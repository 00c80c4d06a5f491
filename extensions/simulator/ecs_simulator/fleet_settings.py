# SPDX-License-Identifier: GPL-3.0-or-later
"""The switches of a fleet file: what is unknown about the real service."""

from dataclasses import dataclass, fields

from ecs_simulator.fleet_reader import Reader


@dataclass(frozen=True)
class Settings:
    """Each switch has a stated default."""

    guest_restart_shows_in_status: bool = False
    """Whether ``Status`` and ``StartTime`` change when an instance restarts without the API: by its guest, or because
    it lost its power."""
    interrupted_error_code: str = "InstanceRestarted"
    """The ErrorCode of a command that ran when its instance restarted."""
    agent_error_code: str = ""
    """The ErrorCode of what an agent could not start. Empty: the agent's own category, such as ScriptFileExisted."""
    agent_restart_s: float = 120.0
    """How long after the end of the agent its service starts it again (RestartSec of its unit)."""
    agent_restart_redelivers: bool = True
    """Whether what an agent left unfinished is delivered to the next one on the same boot, which then refuses what has
    a script file (ScriptFileExisted). Otherwise it is an Error, ClientRestarted."""
    report_retry_s: float = 2.0
    """How long the agent waits between the four tries of a final report."""
    unreported_timeout_s: float = 60.0
    """How long after its time is up a command that nobody reports is a Timeout."""
    heartbeat_lost_s: float = 180.0
    """After how long without a heartbeat CloudAssistantStatus is false; commands reach such an agent all the same."""
    delivery_timeout_s: float = 60.0
    """How long a command waits for an agent that is offline before it is Aborted."""
    wrong_frequency_is_refused: bool = True
    """Whether the service refuses a Frequency that is wrong (InvalidParam.Frequency). Otherwise each instance says so:
    Invalid, with a code such as BadCronExpression."""
    api_restart_runs_reboot_commands: bool = True
    """Whether NextRebootOnly and EveryReboot also count restarts through the API."""
    install_agent_s: float = 5.0
    """How long InstallCloudAssistant takes until the agent runs."""
    install_agent_needs_restart: bool = False
    """Whether the agent that InstallCloudAssistant installs runs only from the next start of the instance on."""
    command_quota: int = 500
    """How many commands a region keeps; the documentation says 500 to 50,000."""
    maximum_timeout_s: int = 86_400
    """The longest Timeout of a command that the service takes."""
    output_quota_bytes: int = 12_000
    """How much of a command's output the agent delivers."""
    history_events_default_finished: bool = False
    """Whether DescribeInstanceHistoryEvents lists finished events when it is asked for no states, as its documentation
    says, and not the pending ones, as has been seen."""
    accepted_event_s: float = 60.0
    """How long after AcceptInquiredSystemEvent the event is Executed."""
    tags_read_after_s: float = 0.0
    """How long after TagResources and UntagResources tags are still read as they were."""
    stop_grace_s: float = 2.0
    """How long processes get between SIGTERM and SIGKILL when a machine shuts down."""


def read_settings(reader: Reader) -> Settings:
    default = Settings()
    values = {}
    for setting in fields(Settings):
        value = getattr(default, setting.name)
        values[setting.name] = reader.take(setting.name, type(value), value)
    reader.finish()
    return Settings(**values)
