# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller may call."""

import re
from collections.abc import Iterable

from ecs_simulator.cloud.callers import Caller
from ecs_simulator.cloud.errors import ApiError

# RAM lets everybody ask who they are (STS documentation of GetCallerIdentity).
_FREE = ("sts:GetCallerIdentity",)


def check_permission(caller: Caller, product: str, action: str) -> None:
    """Refuse an action that a caller's key or role does not allow."""
    name = f"{product}:{action}"
    if name in _FREE or is_allowed(name, caller.allow):
        return
    if product == "sts":
        code, message = "NoPermission", "You are not authorized to do this action. You should be authorized by RAM."
    else:
        code = "Forbidden.RAM"
        message = "User not authorized to operate on the specified resource, or this API doesn't support RAM."
    raise ApiError(
        403,
        code,
        f"{message} The action {name} is not allowed.",
        AccessDeniedDetail={
            "AuthAction": name,
            "AuthPrincipalDisplayName": caller.display_name,
            "AuthPrincipalOwnerId": caller.account_id,
            "AuthPrincipalType": caller.principal_type,
            "NoPermissionType": "ImplicitDeny",
            "PolicyType": "AccountLevelIdentityBasedPolicy",
        },
    )


def is_allowed(name: str, patterns: Iterable[str]) -> bool:
    """Whether ``ecs:RunCommand`` is among actions in which ``*`` stands for any characters; RAM ignores the case."""
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.IGNORECASE) for pattern in patterns)
