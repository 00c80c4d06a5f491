# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are kept, to be run again and again."""

from dataclasses import dataclass, field, replace

from ecs_simulator.agent.task import Command
from ecs_simulator.cloud.errors import ApiError


@dataclass
class SavedCommand:
    """A command as CreateCommand or RunCommand with KeepCommand leaves it."""

    command: Command
    region_id: str
    created: float
    tags: dict[str, str] = field(default_factory=dict)
    resource_group_id: str = ""
    invoke_times: int = 0
    version: int = 1


class SavedCommands:
    """The commands that an account keeps; the quota is that of each region."""

    def __init__(self, quota: int) -> None:
        self._quota = quota
        self._commands: dict[str, SavedCommand] = {}

    def require_room(self, region_id: str) -> None:
        if len(self.in_region(region_id)) >= self._quota:
            raise ApiError(
                403, "CmdCount.ExceedQuota", "The total number of commands in the current region exceeds the quota."
            )

    def add(self, saved: SavedCommand) -> None:
        self.require_room(saved.region_id)
        self._commands[saved.command.id] = saved

    def in_region(self, region_id: str) -> list[SavedCommand]:
        """The commands of a region, the newest first."""
        return [saved for saved in reversed(self._commands.values()) if saved.region_id == region_id]

    def get(self, region_id: str, command_id: str) -> SavedCommand:
        saved = self._commands.get(command_id)
        if saved is None or saved.region_id != region_id:
            raise ApiError(404, "InvalidCmdId.NotFound", "The specified command ID does not exist.")
        return saved

    def change(self, saved: SavedCommand, command: Command) -> None:
        """What runs or is scheduled keeps the command as it was sent."""
        saved.command = replace(command, id=saved.command.id)
        saved.version += 1

    def delete(self, saved: SavedCommand) -> None:
        del self._commands[saved.command.id]
