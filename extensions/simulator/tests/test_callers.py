# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, for what and how often."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.clock import ManualClock
from signed_requests import STS, Signed, stamp
from simulator_helpers import REGION, Caller, make_fleet, serving

ACCOUNT = "1000000000000001"
KEYS = [
    {"id": "demo", "secret": "demo-secret"},
    {"id": "reader", "secret": "reader-secret", "allow": ["ecs:Describe*"]},
    {"id": "assumer", "secret": "assumer-secret", "allow": ["sts:AssumeRole"]},
]
ROLES = [{"name": "patcher"}, {"name": "auditor", "allow": ["ecs:describeinstances"]}]
READER = {"key": "reader", "secret": "reader-secret"}
SIGNATURES = pytest.mark.parametrize("signature", ["v3", "v1"])


@pytest.fixture
async def call(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Caller]:
    fleet = make_fleet({"name": "web-01"}, access_keys=KEYS, roles=ROLES)
    async with serving(fleet, tmp_path, machine="scripted", clock=clock) as caller:
        yield caller


async def outcome(call: Caller, signature: str, action: str = "DescribeRegions", **more: Any) -> tuple[int, Any]:
    """Status and error code of a request; without one what was answered."""
    status, body, _headers = await getattr(Signed(action, **more), signature)(call.url)
    assert len(body.pop("RequestId")) == 36
    return status, body.get("Code", body)


async def assume(call: Caller, role: str = "patcher", **more: Any) -> dict[str, str]:
    """A temporary key as arguments of a signed request."""
    query = {"RoleArn": f"acs:ram::{ACCOUNT}:role/{role}", "RoleSessionName": "night-shift", **more}
    status, answer = await outcome(call, "v3", "AssumeRole", version=STS, query=query)
    assert status == 200, answer
    given = answer["Credentials"]
    return {"key": given["AccessKeyId"], "secret": given["AccessKeySecret"], "token": given["SecurityToken"]}


@SIGNATURES
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_parameters_stand_in_the_query_or_in_the_form(call: Caller, signature: str, method: str) -> None:
    region = {"RegionId": REGION, "InstanceName": "web-* ~é+/%"}
    status, answer = await outcome(call, signature, "DescribeInstances", method=method, query=region)
    assert (status, answer["TotalCount"]) == (200, 0)
    if method == "POST":
        status, answer = await outcome(call, signature, "DescribeInstances", form={**region, "InstanceName": "web-*"})
        assert (status, answer["TotalCount"]) == (200, 1)


@SIGNATURES
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"key": "nobody"}, "InvalidAccessKeyId.NotFound"),
        ({"key": ""}, "MissingAccessKeyId"),
        ({"secret": "wrong"}, "SignatureDoesNotMatch"),
        ({"token": "wrong"}, "InvalidSecurityToken.Malformed"),
        ({"time": "yesterday"}, "InvalidTimeStamp.Format"),
        ({"nonce": ""}, "MissingParameter.SignatureNonce"),
        ({"version": "1999-01-01"}, "InvalidAction.NotFound"),
    ],
)
async def test_what_is_wrong_with_a_caller_is_said(
    call: Caller, signature: str, change: dict[str, str], code: str
) -> None:
    status, answered = await outcome(call, signature, **change)
    assert answered == code
    assert 400 <= status <= 404


@SIGNATURES
async def test_clocks_may_differ_by_a_quarter_of_an_hour(call: Caller, signature: str) -> None:
    for seconds in (-14 * 60, 14 * 60):
        assert (await outcome(call, signature, time=stamp(seconds)))[0] == 200
    for seconds in (-16 * 60, 16 * 60):
        assert (await outcome(call, signature, time=stamp(seconds)))[1] == "InvalidTimeStamp.Expired"


@SIGNATURES
async def test_a_request_is_answered_once(call: Caller, signature: str) -> None:
    assert (await outcome(call, signature, nonce="1"))[0] == 200
    assert await outcome(call, signature, nonce="1") == (400, "SignatureNonceUsed")
    # Whose signature is wrong uses nothing up, and neither does somebody else.
    assert await outcome(call, signature, nonce="2", secret="wrong") == (400, "SignatureDoesNotMatch")
    assert (await outcome(call, signature, nonce="2"))[0] == 200
    assert (await outcome(call, signature, nonce="2", **READER))[0] == 200


@pytest.mark.parametrize(
    ("signature", "changes"),
    [
        ("v1", {"SignatureMethod": "HMAC-MD5"}),
        ("v1", {"SignatureVersion": "2.0"}),
    ],
)
async def test_a_signature_has_a_known_form(call: Caller, signature: str, changes: dict[str, str]) -> None:
    assert await outcome(call, signature, changes=changes) == (400, "IncompleteSignature")


async def test_a_key_may_do_what_it_is_allowed(call: Caller) -> None:
    region = {"RegionId": REGION}
    assert (await outcome(call, "v3", "DescribeInstances", query=region, **READER))[0] == 200
    status, body, _headers = await Signed("RebootInstances", query=region, **READER).v3(call.url)
    assert (status, body["Code"]) == (403, "Forbidden.RAM")
    assert "ecs:RebootInstances" in body["Message"]
    detail = body["AccessDeniedDetail"]
    assert (detail["AuthAction"], detail["AuthPrincipalDisplayName"]) == ("ecs:RebootInstances", "reader")
    assert call.requests("RebootInstances")[0]["caller"] == "reader"
    assert await outcome(call, "v3", "AssumeRole", version=STS, **READER) == (403, "NoPermission")


async def test_callers_are_told_who_they_are(call: Caller) -> None:
    status, user = await outcome(call, "v1", "GetCallerIdentity", version=STS, **READER)
    assert (status, user["IdentityType"], user["AccountId"]) == (200, "RAMUser", ACCOUNT)
    assert user["Arn"] == f"acs:ram::{ACCOUNT}:user/reader"
    role = await assume(call)
    _status, assumed = await outcome(call, "v3", "GetCallerIdentity", version=STS, **role)
    assert assumed["IdentityType"] == "AssumedRoleUser"
    assert assumed["Arn"] == f"acs:ram::{ACCOUNT}:assumed-role/patcher/night-shift"
    assert assumed["PrincipalId"] == f"{assumed['RoleId']}:night-shift"


@SIGNATURES
async def test_an_assumed_role_is_good_for_its_time(call: Caller, signature: str, clock: ManualClock) -> None:
    role = await assume(call, DurationSeconds="900")
    assert (await outcome(call, signature, **role))[0] == 200
    await clock.advance(901)
    assert await outcome(call, signature, **role) == (400, "InvalidSecurityToken.Expired")


@SIGNATURES
async def test_a_token_goes_with_its_key(call: Caller, signature: str) -> None:
    role, other = await assume(call), await assume(call)
    assert await outcome(call, signature, **{**role, "token": ""}) == (400, "MissingSecurityToken")
    mismatch = (400, "InvalidSecurityToken.MismatchWithAccessKey")
    assert await outcome(call, signature, **{**role, "token": other["token"]}) == mismatch
    assert await outcome(call, signature, token=role["token"]) == mismatch


async def test_a_role_may_do_what_it_is_allowed(call: Caller) -> None:
    role = await assume(call, "auditor")
    region = {"RegionId": REGION}
    assert (await outcome(call, "v3", "DescribeInstances", query=region, **role))[0] == 200
    assert await outcome(call, "v3", **role) == (403, "Forbidden.RAM")
    assert await outcome(call, "v3", "AssumeRole", version=STS, **role) == (403, "NoPermission")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"RoleArn": "patcher"}, "InvalidParameter.RoleArn"),
        ({"RoleArn": f"acs:ram::{ACCOUNT}:role/nobody"}, "EntityNotExist.Role"),
        ({"RoleArn": "acs:ram::1:role/patcher"}, "EntityNotExist.Role"),
        ({"RoleSessionName": "a b"}, "InvalidParameter.RoleSessionName"),
        ({"RoleSessionName": ""}, "MissingParameter.RoleSessionName"),
        ({"DurationSeconds": "899"}, "InvalidParameter.DurationSeconds"),
        ({"DurationSeconds": "3601"}, "InvalidParameter.DurationSeconds"),
        ({"ExternalId": "?"}, "InvalidParameter.ExternalId"),
        ({"Policy": "{}"}, "Operation.Forbidden"),
        ({"SourceIdentity": "me"}, ""),
    ],
)
async def test_what_is_wrong_with_a_role_is_said(call: Caller, change: dict[str, str], code: str) -> None:
    query = {"RoleArn": f"acs:ram::{ACCOUNT}:role/patcher", "RoleSessionName": "night-shift", **change}
    assumer = {"key": "assumer", "secret": "assumer-secret"}
    _status, answered = await outcome(call, "v3", "AssumeRole", version=STS, query=query, **assumer)
    if code:
        assert answered == code
    else:
        assert answered["SourceIdentity"] == "me"


async def test_too_many_requests_are_refused_with_the_time_to_wait(tmp_path: Path) -> None:
    limits = {"DescribeRegions": {"per_second": 0.01}, "*": {"api_per_second": 0.01}}
    fleet = make_fleet(access_keys=KEYS, throttling=limits)
    async with serving(fleet, tmp_path) as call:
        assert (await outcome(call, "v3"))[0] == 200
        status, body, headers = await Signed("DescribeRegions").v3(call.url)
        assert (status, body["Code"]) == (400, "Throttling.User")
        assert 0 < int(headers["x-acs-retry-after"]) <= 100_000
        assert (await outcome(call, "v3", **READER))[0] == 200
        region = {"RegionId": REGION}
        assert (await outcome(call, "v3", "DescribeInstances", query=region))[0] == 200
        assert await outcome(call, "v1", "DescribeInstances", query=region, **READER) == (400, "Throttling.Api")
        assert (await outcome(call, "v3", "DescribeInstanceStatus", query=region))[0] == 200
