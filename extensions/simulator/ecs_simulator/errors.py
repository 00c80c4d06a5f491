# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the simulator does not start; the texts are single sentences for the user."""


class FleetError(ValueError):
    """The fleet file is wrong; the text says where and what would be right."""


class SimulatorError(Exception):
    """What it needs is not to be had."""
