# SPDX-License-Identifier: GPL-3.0-or-later
"""A local stand-in for Alibaba Cloud ECS and Cloud Assistant.

Layers, each importing only those to its right:

    cli → gateway (RPC protocol, signatures) → api (one file per family of actions)
        → cloud (state and rules, no HTTP) → agent (task life cycle) → machines (where scripts run)
"""

__version__ = "0.1.0"
