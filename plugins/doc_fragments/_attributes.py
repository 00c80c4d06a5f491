# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/ecs) or C(group/cloudops.alibaba.ecs) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - cloudops.alibaba.ecs
      - ecs
  async:
    description: Supports being used with the C(async) keyword.
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description:
      - Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled/queried by the module has not changed in a relevant way.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  async:
    support: full
  check_mode:
    support: full
    details:
      - This action does not modify state.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
"""

    # For actions on the controller that show a table and write a document.
    DOCUMENT = r"""
options: {}
attributes:
  action_group:
    support: none
    membership: []
  async:
    support: none
  check_mode:
    support: full
    details:
      - Shows the table and writes nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
"""
