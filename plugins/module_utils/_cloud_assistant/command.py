# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""A command, checked against the API's limits before anything is sent."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._sdk import limits
from .._sdk.errors import BadInput

# Which operating system a type of script is for, as DescribeInstances spells it.
PLATFORMS = {"RunShellScript": "linux", "RunBatScript": "windows", "RunPowerShellScript": "windows"}


@dataclass(frozen=True)
class Command:
    """What RunCommand takes, apart from the instances."""

    content: str
    type: str = "RunShellScript"
    timeout_s: int = 3600
    working_dir: str | None = None
    name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        """``linux`` or ``windows``."""
        return PLATFORMS[self.type]

    def check(self) -> None:
        """Raise :class:`BadInput` for what the API would refuse, in words that help more than its error codes."""
        if not self.content.strip():
            raise BadInput("The script is empty: nothing to run.")
        size = len(base64.b64encode(self.content.encode()))
        if size > limits.COMMAND_CONTENT_BYTES:
            raise BadInput(
                f"The script is too long: {size} bytes in Base64, and Cloud Assistant takes at most "
                f"{limits.COMMAND_CONTENT_BYTES}. Shorten it, or send it as a file first and run that."
            )
        if self.timeout_s < limits.TIMEOUT_MINIMUM_S:
            raise BadInput(
                f"timeout is {self.timeout_s} s, and the least that the API takes is {limits.TIMEOUT_MINIMUM_S} s."
            )
        for what, value, most in (
            ("name", self.name, limits.NAME_CHARACTERS),
            ("description", self.description, limits.DESCRIPTION_CHARACTERS),
            ("working_dir", self.working_dir, limits.WORKING_DIR_CHARACTERS),
        ):
            if value and len(value) > most:
                raise BadInput(f"{what} has {len(value)} characters, and the API takes at most {most}.")
        if len(self.tags) > limits.TAGS:
            raise BadInput(f"There are {len(self.tags)} tags, and the API takes at most {limits.TAGS}.")
        for key, value in self.tags.items():
            if not 1 <= len(key) <= limits.TAG_KEY_CHARACTERS or len(value) > limits.TAG_VALUE_CHARACTERS:
                raise BadInput(
                    f"The tag {key!r} is too long: keys have 1 to {limits.TAG_KEY_CHARACTERS} characters, "
                    f"values at most {limits.TAG_VALUE_CHARACTERS}."
                )
