# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""What can go wrong between us and the API, as exceptions whose text is meant for the user.

The core raises these; only the edges (a module's ``fail_json``, a plugin's ``AnsibleError``) turn them into
results.
"""

from __future__ import annotations

import re

# API error code, or its beginning up to a dot → what the user can do about it.
_ADVICE = {
    "SignatureDoesNotMatch": "Check the access key secret: it does not belong to this access key id.",
    "InvalidAccessKeyId": "Check the access key id: the service does not know it, or it is disabled.",
    "InvalidSecurityToken": "Get a new security token: this one has expired or belongs to another key.",
    "InvalidRegionId": "Check region_id: the service has no region of that name.",
    "Forbidden": "Give the caller the permission for this action in RAM.",
    "NoPermission": "Give the caller the permission for this action in RAM.",
    "Throttling": "The account's request rate is used up; try again later or with fewer jobs side by side.",
    "CmdContent.ExceedLimit": "Shorten the script, or send it as a file and run that.",
    "InstanceIds.ExceedLimit": "Use fewer instances per call.",
    "Invocation.ExceedQuota": "The region's quota of invocations per day is used up; ask for more in Quota Center.",
    "InvalidInstance.NotFound": "Check the instance ids and the region: an instance is not there.",
    "InvalidInstanceId.NotFound": "Check the instance ids and the region: an instance is not there.",
    "InvalidInstance.NotMatch": "Check that the instances are running and of the platform the script is for.",
    "IncorrectInstanceStatus": "Start the instance first, or wait until its current operation is over.",
    "InstanceLockedForSecurity": "The instance is locked for security reasons: see what Security Center says of it.",
    "InstanceExpiredOrInArrears": "Renew the subscription of the instance, or settle the account.",
    "DiskError": "Something is wrong with a disk of the instance: see its disks and system events in the console.",
    "InvalidAction.NotFound": "Check the endpoint: it does not serve this API.",
}


class CloudError(Exception):
    """Anything that keeps us from doing what was asked; the text is one or two sentences."""


class BadInput(CloudError):
    """Refused before anything was sent."""


class MissingSdk(CloudError):
    """Alibaba's SDK is not installed for the Python that runs this."""


class NoCredentials(CloudError):
    """No credentials were given and none were found."""


class ApiError(CloudError):
    """The API answered with an error: the request had no effect, unless the status is 5xx."""

    def __init__(
        self,
        attempted: str,
        *,
        code: str,
        message: str,
        request_id: str,
        status: int,
        retry_after_s: float | None = None,
    ) -> None:
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        reason = f"{clean_message(message)} (code {code}, request id {request_id})"
        super().__init__(" ".join(filter(None, [f"{attempted} failed: {reason}.", advice(code)])))


class NoAnswer(CloudError):
    """The request may have been sent, but no answer came back: whether it took effect is unknown.

    ``sent`` is False when the connection was never made, so that it certainly had no effect. ``reads`` is True when it
    has none anyway. ``lasting`` is True when sending it again would end the same way.
    """

    def __init__(
        self,
        attempted: str,
        reason: str,
        *,
        sent: bool,
        reads: bool = False,
        lasting: bool = False,
        address: str = "the API",
        advice: str = "",
    ) -> None:
        self.sent = sent
        self.lasting = lasting
        effect = "; it is unknown whether it took effect"
        if not sent:
            effect = "; it had no effect"
        elif reads:
            effect = ""
        text = f"{attempted}: no answer from {address}, {reason}{effect}."
        super().__init__(" ".join(filter(None, [text, advice])))


def advice(code: str) -> str:
    """What to do about an API error code; empty when there is nothing to say."""
    while code:
        if code in _ADVICE:
            return _ADVICE[code]
        code = code.rpartition(".")[0]
    return ""


def clean_message(message: str) -> str:
    """The API's message without what the SDK wraps around it and without what it echoes of the request.

    A signature error repeats the string to sign, and with it whole scripts.
    """
    message = re.sub(r"^code: \d+, ", "", message)
    message = re.sub(r" request id: \S+$", "", message)
    message = re.sub(r"(?is)\s*server string to sign is.*", "", message)
    return message.strip().rstrip(".")
