# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_send_file runs on the controller."""

from __future__ import annotations

from ..plugin_utils._controller import ControllerAction


class ActionModule(ControllerAction):
    """Runs where the SDK is."""
