# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The calls of Cloud Assistant about commands, one function each."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence

from . import imports, limits
from .calls import Calls, rows_of, tags_of
from .shapes import InvocationRow, TaskRow


class CommandCalls(Calls):
    """Running commands, and what became of them."""

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
            tag=tags_of(imports.models.RunCommandRequestTag, tags),
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
        rows = rows_of(body, "Invocations", "Invocation")
        return InvocationRow.read(rows[0]) if rows else None

    def describe_invocations(self, tags: Mapping[str, str]) -> Iterator[InvocationRow]:
        """DescribeInvocations of all invocations with these tags, all pages."""
        request = imports.models.DescribeInvocationsRequest(
            region_id=self.region_id,
            tag=tags_of(imports.models.DescribeInvocationsRequestTag, tags),
            max_results=limits.INVOCATIONS_PAGE,
        )
        for page in self._pages("DescribeInvocations", self._client.describe_invocations_with_options, request):
            yield from map(InvocationRow.read, rows_of(page, "Invocations", "Invocation"))

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
            for row in rows_of(page, "InvocationResults", "InvocationResult"):
                yield TaskRow.read(invoke_id, row)
