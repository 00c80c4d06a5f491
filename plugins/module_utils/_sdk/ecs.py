# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""One function per API call: typed answers, errors in words, retries inside."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .._waiting import Clock, RealClock
from . import imports, limits, retry
from .client import Connection, address_of, make_client
from .connection_errors import trouble_of
from .errors import ApiError, NoAnswer, NoCredentials
from .shapes import AgentRow, InstanceRow, InvocationRow, PowerRow, TaskRow


class Ecs:
    """The ECS API of one region."""

    def __init__(self, connection: Connection, clock: Clock | None = None) -> None:
        self.region_id = connection.region_id
        self._connection = connection
        self._clock = clock or RealClock()
        self._client = make_client(connection)
        self._reached = False
        """The API has answered: what looks lasting at the first contact is then an outage that passes."""

    # --- instances ---------------------------------------------------------------------------------------------

    def describe_instances(
        self,
        instance_ids: Sequence[str] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        zone_id: str | None = None,
        status: str | None = None,
        name: str | None = None,
    ) -> Iterator[InstanceRow]:
        """DescribeInstances, all pages. At most ``limits.DESCRIBE_INSTANCES_IDS`` ids; unknown ones are left out."""
        request = imports.models.DescribeInstancesRequest(
            region_id=self.region_id,
            instance_ids=None if instance_ids is None else json.dumps(list(instance_ids)),
            tag=_tags(imports.models.DescribeInstancesRequestTag, tags),
            zone_id=zone_id,
            status=status,
            instance_name=name,
            max_results=limits.INSTANCES_PAGE,
        )
        for page in self._pages("DescribeInstances", self._client.describe_instances_with_options, request):
            yield from map(InstanceRow.read, _rows(page, "Instances", "Instance"))

    def reboot_instances(self, instance_ids: Sequence[str], *, force: bool, within_s: float) -> list[PowerRow]:
        """RebootInstances, each instance for itself (BatchOptimization=SuccessFirst).

        It has no client token: raises :class:`NoAnswer` when the answer is lost, and is not sent again then. While it
        is throttled it is tried again, for at most ``within_s`` seconds.
        """
        request = imports.models.RebootInstancesRequest(
            region_id=self.region_id,
            instance_id=list(instance_ids),
            force_reboot=force,
            batch_optimization="SuccessFirst",
        )
        attempted = self._attempted("RebootInstances", instance_ids)
        call = self._client.reboot_instances_with_options
        body = self._call(attempted, call, request, harmless=False, total_s=within_s)
        return [PowerRow.read(row) for row in _rows(body, "InstanceResponses", "InstanceResponse")]

    # --- Cloud Assistant ---------------------------------------------------------------------------------------

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]:
        """DescribeCloudAssistantStatus of at most ``limits.ASSISTANT_STATUS_IDS`` ids; unknown ones are left out."""
        request = imports.models.DescribeCloudAssistantStatusRequest(
            region_id=self.region_id, instance_id=list(instance_ids)
        )
        call = self._client.describe_cloud_assistant_status_with_options
        body = self._read("DescribeCloudAssistantStatus", call, request)
        rows = _rows(body, "InstanceCloudAssistantStatusSet", "InstanceCloudAssistantStatus")
        return [AgentRow.read(row) for row in rows]

    def run_command(
        self,
        instance_ids: Sequence[str],
        *,
        type: str,  # noqa: A002  the API's name
        content: str,
        timeout_s: int,
        working_dir: str | None = None,
        name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> tuple[str, str]:
        """RunCommand once, whatever the network does; returns the ids of the invocation and of the command."""
        request = imports.models.RunCommandRequest(
            region_id=self.region_id,
            instance_id=list(instance_ids),
            type=type,
            command_content=base64.b64encode(content.encode()).decode(),
            content_encoding="Base64",
            enable_parameter=False,
            timeout=timeout_s,
            working_dir=working_dir,
            name=name,
            description=description,
            tag=_tags(imports.models.RunCommandRequestTag, tags),
            # Made for this request and the same on each retry of it: the service then runs it once.
            client_token=str(uuid.uuid4()),
        )
        attempted = self._attempted("RunCommand", instance_ids)
        body = self._call(attempted, self._client.run_command_with_options, request, harmless=True)
        return body["InvokeId"], body["CommandId"]

    def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
        """DescribeInvocations of one invocation: every instance's status and exit code, no output."""
        request = imports.models.DescribeInvocationsRequest(
            region_id=self.region_id, invoke_id=invoke_id, max_results=limits.INVOCATIONS_PAGE
        )
        body = self._read("DescribeInvocations", self._client.describe_invocations_with_options, request)
        rows = _rows(body, "Invocations", "Invocation")
        return InvocationRow.read(rows[0]) if rows else None

    def describe_invocations(self, tags: Mapping[str, str]) -> Iterator[InvocationRow]:
        """DescribeInvocations of all invocations with these tags, all pages."""
        request = imports.models.DescribeInvocationsRequest(
            region_id=self.region_id,
            tag=_tags(imports.models.DescribeInvocationsRequestTag, tags),
            max_results=limits.INVOCATIONS_PAGE,
        )
        for page in self._pages("DescribeInvocations", self._client.describe_invocations_with_options, request):
            yield from map(InvocationRow.read, _rows(page, "Invocations", "Invocation"))

    def describe_invocation_results(self, invoke_id: str) -> Iterator[TaskRow]:
        """DescribeInvocationResults of one invocation, all pages: with output."""
        request = imports.models.DescribeInvocationResultsRequest(
            region_id=self.region_id,
            invoke_id=invoke_id,
            max_results=limits.INVOCATIONS_PAGE,
            content_encoding="Base64",
        )
        call = self._client.describe_invocation_results_with_options
        for page in self._pages("DescribeInvocationResults", call, request, within="Invocation"):
            for row in _rows(page, "InvocationResults", "InvocationResult"):
                yield TaskRow.read(invoke_id, row)

    # --- how a request is sent ---------------------------------------------------------------------------------

    def _attempted(self, action: str, instance_ids: Sequence[str]) -> str:
        what = instance_ids[0] if len(instance_ids) == 1 else f"{len(instance_ids)} instances"
        return f"{action} on {what} in {self.region_id}"

    def _read(self, action: str, call: Callable[..., Any], request: Any) -> dict[str, Any]:
        return self._call(f"{action} in {self.region_id}", call, request, harmless=True, reads=True)

    def _pages(
        self, action: str, call: Callable[..., Any], request: Any, *, within: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The bodies of all pages, or what stands ``within`` them, token included."""
        while True:
            body = self._read(action, call, request)
            page = (body.get(within) or {}) if within else body
            yield page
            request.next_token = page.get("NextToken")
            if not request.next_token:
                return

    def _call(
        self,
        attempted: str,
        call: Callable[..., Any],
        request: Any,
        *,
        harmless: bool,
        reads: bool = False,
        total_s: float = retry.TOTAL_S,
    ) -> dict[str, Any]:
        """Send a request, again where that is safe; returns the answer's body as the API wrote it."""

        def send() -> dict[str, Any]:
            try:
                body: dict[str, Any] = call(request, imports.RuntimeOptions(autoretry=False)).body.to_map()
            except imports.AlibabaCloudException as error:
                self._reached = True
                raise _api_error(attempted, error) from None
            except imports.CredentialException:
                raise NoCredentials(f"{attempted}: the credentials ran out and could not be renewed.") from None
            except Exception as error:
                trouble = trouble_of(f"{type(error).__name__} {error}")
                raise NoAnswer(
                    attempted,
                    trouble.reason,
                    sent=trouble.sent,
                    reads=reads,
                    lasting=trouble.lasting and not self._reached,
                    address=address_of(self._client),
                    advice=trouble.advice,
                ) from None
            self._reached = True
            return body

        return retry.repeat(send, harmless=harmless, clock=self._clock, total_s=total_s)


def _api_error(attempted: str, error: Any) -> ApiError:
    return ApiError(
        attempted,
        code=error.code or "Unknown",
        message=error.message or "the API gave no reason",
        request_id=error.request_id if error.request_id not in (None, "None") else "none",
        status=error.status_code or 0,
        # The SDK hands on the header x-acs-retry-after, in milliseconds.
        retry_after_s=error.retry_after / 1000 if getattr(error, "retry_after", None) else None,
    )


def _tags(tag: Callable[..., Any], tags: Mapping[str, str] | None) -> list[Any]:
    """Tags as a request of the SDK takes them, each request with a class of its own."""
    return [tag(key=key, value=value) for key, value in (tags or {}).items()]


def _rows(body: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    value: Any = body
    for name in path:
        value = (value or {}).get(name)
    return value or []
