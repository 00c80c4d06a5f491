# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible inventory of a fleet: which host is which instance."""

from collections import Counter

import yaml

from ecs_simulator.errors import FleetError
from ecs_simulator.fleet import Fleet


def inventory(fleet: Fleet) -> str:
    """The inventory as YAML. A host outside the fleet's first region, which callers get by default, names its own."""
    for name, times in Counter(spec.name for spec in fleet.instances).items():
        if times > 1:
            raise FleetError(f"{times} instances are called {name}, and the hosts of an inventory need different names")
    hosts = {
        spec.name: {"ecs_instance_id": spec.id}
        | ({} if spec.region_id == fleet.regions[0] else {"ecs_region_id": spec.region_id})
        for spec in fleet.instances
    }
    # None: nested mappings are written as blocks, the innermost on one line.
    return yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False, default_flow_style=None, width=120)
