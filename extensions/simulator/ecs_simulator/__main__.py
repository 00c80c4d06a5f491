# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ecs_simulator``: the command without an installed entry point."""

import sys

from ecs_simulator.cli import main

sys.exit(main())
