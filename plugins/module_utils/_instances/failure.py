# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Why something did not work on one instance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """Why an instance failed.

    ``kind`` is one of script, timeout, stopped, agent, network, instance, input, not_delivered, lost; ``info`` is a
    sentence for the user; ``code`` is the API's error code where there is one.
    """

    kind: str
    info: str
    code: str = ""
