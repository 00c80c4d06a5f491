# SPDX-License-Identifier: GPL-3.0-or-later
"""DescribeRegions."""

from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud


def describe_regions(cloud: Cloud, _parameters: Parameters) -> dict[str, Any]:
    return {
        "Regions": {
            "Region": [
                {
                    "RegionId": region_id,
                    "LocalName": region_id,
                    "RegionEndpoint": f"ecs.{region_id}.aliyuncs.com",
                    "Status": "available",
                }
                for region_id in cloud.fleet.regions
            ]
        }
    }
