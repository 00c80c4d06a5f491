# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A command, checked against the API's limits before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .._instances.ids import check_id
from .._sdk import limits
from .._sdk.command_shapes import CommandRow, Running
from .._sdk.errors import BadInput
from .checks import check_all_given, check_content, check_lengths, check_parameters, check_running, defined_parameters
from .scripts import with_guard, with_utf8_output

# Which operating system a type of script is for, as DescribeInstances spells it.
PLATFORMS = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}
# How a sentence begins that ends with the platform of a script.
SCRIPT_IS_FOR = "The script is for"
# The API would take 60 seconds, which is too short for much and noticed by few.
DEFAULT_TIMEOUT_S = 3600

_AS_THEY_ARE = (
    "working_dir",
    "username",
    "windows_password_name",
    "container_id",
    "container_name",
    "launcher",
    "termination_mode",
    "repeat_mode",
    "frequency",
    "oss_output_delivery",
    "resource_group_id",
)


class StartApi(Protocol):
    """The calls that start commands and send files; :class:`~.._sdk.ecs.Ecs` has them."""

    region_id: str

    def run_command(
        self,
        instance_ids: Sequence[str],
        *,
        type: str,  # noqa: A002  the API's name
        content: str,
        running: Running,
        name: str | None = None,
        description: str | None = None,
        enable_parameter: bool = False,
        keep: bool = False,
    ) -> tuple[str, str]: ...

    def invoke_command(self, instance_ids: Sequence[str], *, command_id: str, running: Running) -> tuple[str, str]: ...

    def describe_commands(self, *, command_id: str | None = None) -> Iterator[CommandRow]: ...

    def send_file(
        self, instance_ids: Sequence[str], *, folder: str, name: str, content: bytes, timeout_s: int
    ) -> str: ...


class Startable(Protocol):
    """What can be started on instances, so many a call."""

    @property
    def platform(self) -> str: ...

    @property
    def purpose(self) -> str: ...

    @property
    def ids_per_call(self) -> int: ...

    def check(self) -> None: ...

    def start(self, api: StartApi, instance_ids: Sequence[str]) -> tuple[str, str]: ...


@dataclass(frozen=True)
class Command(Running):
    """A script and how it runs: what RunCommand takes, apart from the instances."""

    content: str
    type: str = "RunShellScript"
    timeout_s: int = field(default=DEFAULT_TIMEOUT_S, kw_only=True)
    name: str | None = None
    description: str | None = None
    enable_parameter: bool = False
    keep: bool = False

    @property
    def ids_per_call(self) -> int:
        """How many instances a call takes."""
        return limits.RUN_COMMAND_IDS

    @property
    def platform(self) -> str:
        """``linux`` or ``windows``."""
        return PLATFORMS[self.type]

    @property
    def purpose(self) -> str:
        """How a sentence begins that ends with the platform."""
        return SCRIPT_IS_FOR

    @property
    def has_parameters(self) -> bool:
        """Whether the service puts parameters into the script."""
        return self.enable_parameter or bool(self.parameters)

    def check(self) -> None:
        """Raise :class:`BadInput` for what the API would refuse, and for parameters that are forgotten."""
        check_content(self.content, self.parameters, kept=self.keep, enabled=self.enable_parameter)
        if self.has_parameters:
            check_all_given(self.parameters, defined_parameters(self.content))
        check_running(self, self.platform)
        check_lengths(
            name=(self.name, limits.NAME_CHARACTERS),
            description=(self.description, limits.DESCRIPTION_CHARACTERS),
        )

    def start(self, api: StartApi, instance_ids: Sequence[str]) -> tuple[str, str]:
        """Run it once on fit instances; the ids of the invocation and of the command."""
        return api.run_command(
            instance_ids,
            type=self.type,
            content=self.content,
            running=self,
            name=self.name,
            description=self.description,
            enable_parameter=self.has_parameters,
            keep=self.keep,
        )


@dataclass(frozen=True)
class SavedCommand(Running):
    """A saved command and how it runs: what InvokeCommand takes, apart from the instances."""

    command_id: str
    type: str = ""
    """Not known before :meth:`look_up`."""

    @property
    def ids_per_call(self) -> int:
        """How many instances a call takes."""
        return limits.RUN_COMMAND_IDS

    @property
    def platform(self) -> str:
        """``linux`` or ``windows``."""
        return PLATFORMS.get(self.type, "linux")

    @property
    def purpose(self) -> str:
        """How a sentence begins that ends with the platform."""
        return "The saved command is for"

    def check(self) -> None:
        """Raise :class:`BadInput` for what the API would refuse, as far as that is known without asking it."""
        check_id("command_id", self.command_id)
        check_running(self, None if not self.type else self.platform)

    def look_up(self, api: StartApi) -> SavedCommand:
        """The same with what was saved with the command, checked again."""
        row = next(iter(api.describe_commands(command_id=self.command_id)), None)
        if row is None:
            raise BadInput(
                f"There is no saved command {self.command_id} in {api.region_id}. Check the id and the region, or save "
                "it with ecs_command."
            )
        found = replace(self, type=row.type, timeout_s=self.timeout_s or row.timeout_s or DEFAULT_TIMEOUT_S)
        found.check()
        check_parameters(self.parameters, row.parameter_names)
        check_all_given(self.parameters, row.parameter_names, row.optional_parameters)
        return found

    def start(self, api: StartApi, instance_ids: Sequence[str]) -> tuple[str, str]:
        """Run it once on fit instances; the ids of the invocation and of the command."""
        return api.invoke_command(instance_ids, command_id=self.command_id, running=self)


def command_from_options(options: Mapping[str, Any], script: str | None) -> Command | SavedCommand:
    """The command that the options of ecs_run_command ask for; without a script, the saved one."""
    how: dict[str, Any] = {name: options[name] for name in _AS_THEY_ARE}
    how |= {name: {key: str(value) for key, value in options[name].items()} for name in ("parameters", "tags")}
    if script is None:
        for option in ("unless", "name", "description", "keep_command"):
            if options[option]:
                raise BadInput(f"{option} goes with a script, and command_id brings a saved one.")
        return SavedCommand(options["command_id"], timeout_s=options["timeout"], **how)
    script_type = options["type"]
    if options["unless"] is not None and script.strip():
        script = with_guard(script, script_type, options["unless"], parameters=bool(how["parameters"]))
    if script_type == "RunPowerShellScript" and options["utf8_output"] and script.strip():
        script = with_utf8_output(script)
    return Command(
        script,
        script_type,
        name=options["name"],
        description=options["description"],
        enable_parameter=options["enable_parameter"],
        keep=options["keep_command"],
        timeout_s=DEFAULT_TIMEOUT_S if options["timeout"] is None else options["timeout"],
        **how,
    )
