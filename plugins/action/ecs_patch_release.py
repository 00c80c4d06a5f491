# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ecs_patch_release runs on the controller, once for a batch."""

from __future__ import annotations

from ..plugin_utils._batch import BatchAction


class ActionModule(BatchAction):
    """Once per batch."""
