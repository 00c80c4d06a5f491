# SPDX-License-Identifier: GPL-3.0-or-later
"""AssumeRole and GetCallerIdentity of the Security Token Service."""

import re
from typing import Any

from ecs_simulator.api.parameters import Parameters
from ecs_simulator.clock import iso
from ecs_simulator.cloud.callers import Caller, principal_id
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError

# SDK docstring of AssumeRoleRequest; the longest is a new role's MaxSessionDuration.
_SHORTEST_S, _LONGEST_S = 900, 3600
_SESSION_NAME = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}")
_ROLE_ARN = re.compile(r"acs:ram::([0-9]+):role/([A-Za-z0-9.-]{1,64})")


def assume_role(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    arn = _ROLE_ARN.fullmatch(parameters.required("RoleArn"))
    session_name = parameters.required("RoleSessionName")
    seconds = parameters.number("DurationSeconds", _LONGEST_S)
    if arn is None:
        raise ApiError(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    if not _SESSION_NAME.fullmatch(session_name):
        raise ApiError(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        text = "The Min/Max value of DurationSeconds is 15min/1hr."
        raise ApiError(400, "InvalidParameter.DurationSeconds", text)
    external_id = parameters.text("ExternalId")
    if external_id and not _EXTERNAL_ID.fullmatch(external_id):
        raise ApiError(400, "InvalidParameter.ExternalId", "The parameter ExternalId is wrongly formed.")
    if parameters.text("Policy"):
        raise ApiError(403, "Operation.Forbidden", "The simulator does not know Policy yet.")
    account_id, name = arn.groups()
    role = cloud.callers.role(name) if account_id == cloud.fleet.account_id else None
    if role is None:
        raise ApiError(404, "EntityNotExist.Role", f"The role not exists: {arn[0]}.")
    assumed = cloud.callers.assume(role, session_name, seconds)
    answer = {
        "AssumedRoleUser": {"Arn": _arn(assumed), "AssumedRoleId": _principal_id(assumed)},
        "Credentials": {
            "AccessKeyId": assumed.access_key_id,
            "AccessKeySecret": assumed.secret,
            "SecurityToken": assumed.security_token,
            "Expiration": iso(assumed.expires),
        },
    }
    source_identity = parameters.text("SourceIdentity")
    return {**answer, "SourceIdentity": source_identity} if source_identity else answer


def get_caller_identity(cloud: Cloud, caller: str) -> dict[str, Any]:
    found = cloud.callers.find(caller)
    assert found  # authenticated
    answer = {"AccountId": found.account_id, "Arn": _arn(found), "PrincipalId": _principal_id(found)}
    if found.role:
        return {**answer, "IdentityType": "AssumedRoleUser", "RoleId": principal_id("role", found.role)}
    return {**answer, "IdentityType": "RAMUser", "UserId": _principal_id(found)}


def _arn(caller: Caller) -> str:
    if caller.role:
        return f"acs:ram::{caller.account_id}:assumed-role/{caller.role}/{caller.session_name}"
    return f"acs:ram::{caller.account_id}:user/{caller.access_key_id}"


def _principal_id(caller: Caller) -> str:
    if caller.role:
        return f"{principal_id('role', caller.role)}:{caller.session_name}"
    return principal_id("user", caller.access_key_id)
