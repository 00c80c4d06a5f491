# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to go wrong the next time a machine boots."""

from dataclasses import dataclass


@dataclass
class NextBoot:
    """It goes wrong once; the boot after that is an ordinary one again."""

    late_s: float = 0.0
    """How much longer it takes."""
    stuck: bool = False
    """The operating system never comes up: for the service the instance is Running all the same."""
    without_agent: bool = False
    again_after_s: float | None = None
    """The machine restarts once more, so long after it has come up."""

    def arm(self, fault: str, seconds: float | None) -> None:
        """Let a fault of that name be there at the next boot, beside others."""
        match fault:
            case "boot_slow":
                self.late_s = seconds or 0.0
            case "boot_stuck":
                self.stuck = True
            case "boot_without_agent":
                self.without_agent = True
            case "boot_twice":
                self.again_after_s = seconds or 0.0
