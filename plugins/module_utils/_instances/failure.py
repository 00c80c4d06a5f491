# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Why something did not work on one instance."""

from __future__ import annotations

from dataclasses import dataclass

from .._sdk.errors import ApiError, CloudError, NoAnswer

# Error codes up to the first dot that blame an instance rather than the request: RebootInstances and its like document
# the first four, RunCommand the last two.
_BLAME_INSTANCES = frozenset(
    {
        "IncorrectInstanceStatus",
        "InstanceLockedForSecurity",
        "InstanceExpiredOrInArrears",
        "DiskError",
        "InvalidInstance",
        "InvalidInstanceId",
    }
)


@dataclass(frozen=True)
class Failure:
    """Why an instance failed.

    ``kind`` is one of script, timeout, stopped, agent, network, instance, input, not_delivered, lost; ``info`` is a
    sentence for the user; ``code`` is the API's error code where there is one. ``mistaken`` says that the instance
    cannot take part, however long one waits: the region has none of its id, or it is of another platform. Patching
    has another kind, health: all was done, and then the host was not well.
    """

    kind: str
    info: str
    code: str = ""
    mistaken: bool = False


def failure_of(error: CloudError, *, refused: str = "input") -> Failure:
    """What a failed call means for the instances that it was about.

    ``lost`` when it may have taken effect all the same, ``network`` when it was never sent, else ``refused``.
    """
    code = error.code if isinstance(error, ApiError) else ""
    if isinstance(error, NoAnswer):
        kind = "lost" if error.sent else "network"
    elif isinstance(error, ApiError) and (error.status >= 500 or code == "IdempotentProcessing"):
        kind = "lost"
    else:
        kind = refused
    return Failure(kind, str(error), code)


def blames_instances(error: CloudError) -> bool:
    """Whether a call was rejected, without effect, for the sake of one or some of its instances."""
    return isinstance(error, ApiError) and error.status < 500 and error.code.split(".")[0] in _BLAME_INSTANCES


def no_such_instance(region_id: str) -> Failure:
    """An id that the region does not have."""
    info = f"There is no such instance in {region_id}. Check the instance id and the region."
    return Failure("instance", info, mistaken=True)
