# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup patch_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: patch_plan
short_description: Read the plan of a run
description:
  - Reads a plan that M(cloudops.alibaba.patch_plan) has written, for the hosts and batches of a play that is to do just
    what the plan says.
options:
  _terms:
    description: The plan's file. A relative path is below the folder in which Ansible was started. Without one, or with
      an empty one, the hosts and sizes are empty.
    type: list
    elements: path
author:
  - cloudops.alibaba contributors (@cloudops-alibaba)
"""

EXAMPLES = r"""
- name: Patch as planned
  hosts: "{{ lookup('cloudops.alibaba.patch_plan', patch_hosts_plan).order }}"
  serial: "{{ lookup('cloudops.alibaba.patch_plan', patch_hosts_plan).sizes }}"
  gather_facts: false
  roles:
    - role: cloudops.alibaba.patch_hosts
"""

RETURN = r"""
_raw:
  description: A dict for each file, with what it holds, and besides C(order), the names of the hosts to patch one after
    the other, and C(sizes), how many of them are in each batch.
  type: list
  elements: dict
"""

import os
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._patch.plan import check_document
from ..module_utils._sdk.errors import BadInput
from ..plugin_utils._documents import read_document

_NO_PLAN: dict[str, Any] = {"order": [], "sizes": []}


class LookupModule(LookupBase):
    """What Ansible loads."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        return [_read(str(term)) if term else dict(_NO_PLAN) for term in terms or [""]]


def _read(term: str) -> dict[str, Any]:
    path = os.path.abspath(os.path.expanduser(term))
    # Not "from error": Ansible would tell the reason twice.
    try:
        plan = check_document(read_document(path, "version"))
    except OSError as error:
        raise AnsibleLookupError(f"patch_hosts_plan: cannot read {path}: {error.strerror}. Nothing was done.") from None
    except (BadInput, ValueError) as error:
        what = str(error) if isinstance(error, BadInput) else "is no plan, or only a part of one"
        raise AnsibleLookupError(
            f"patch_hosts_plan: {path} {what}; make one with the playbook assess. Nothing was done."
        ) from None
    if not plan["batches"]:
        raise AnsibleLookupError(f"patch_hosts_plan: no host of {path} is fit to be patched. Nothing was done.")
    return plan | {
        "order": [name for batch in plan["batches"] for name in batch],
        "sizes": [len(batch) for batch in plan["batches"]],
    }
