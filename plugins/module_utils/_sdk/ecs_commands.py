# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The calls of Cloud Assistant about commands, one function each."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import imports, limits
from .calls import Calls, rows_of, tags_of
from .command_shapes import CommandRow, Running
from .shapes import InvocationRow, TaskRow


class CommandCalls(Calls):
    """Running commands, and what became of them."""

    def run_command(
        self,
        instance_ids: Sequence[str],
        *,
        type: str,  # noqa: A002  the API's name
        content: str,
        running: Running,
        name: str | None = None,
        description: str | None = None,
        enable_parameter: bool = False,
        keep: bool = False,
    ) -> tuple[str, str]:
        """RunCommand once, whatever the network does; returns the ids of the invocation and of the command."""
        request = imports.models.RunCommandRequest(
            region_id=self.region_id,
            instance_id=list(instance_ids),
            type=type,
            command_content=_base64(content.encode()),
            content_encoding="Base64",
            enable_parameter=enable_parameter,
            keep_command=keep,
            name=name,
            description=description,
            tag=tags_of(imports.models.RunCommandRequestTag, running.tags),
            # Made for this request and the same on each retry of it: the service then runs it once.
            client_token=str(uuid.uuid4()),
            **running.as_request(),
        )
        attempted = self._attempted("RunCommand", instance_ids)
        body = self._call(attempted, self._client.run_command_with_options, request, harmless=True)
        return body["InvokeId"], body["CommandId"]

    def invoke_command(self, instance_ids: Sequence[str], *, command_id: str, running: Running) -> tuple[str, str]:
        """InvokeCommand once, whatever the network does; returns the ids of the invocation and of the command."""
        request = imports.models.InvokeCommandRequest(
            region_id=self.region_id,
            instance_id=list(instance_ids),
            command_id=command_id,
            tag=tags_of(imports.models.InvokeCommandRequestTag, running.tags),
            client_token=str(uuid.uuid4()),
            **running.as_request(),
        )
        attempted = self._attempted("InvokeCommand", instance_ids)
        body = self._call(attempted, self._client.invoke_command_with_options, request, harmless=True)
        return body["InvokeId"], command_id

    def describe_commands(
        self,
        *,
        command_id: str | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002  the API's name
        tags: Mapping[str, str] | None = None,
    ) -> Iterator[CommandRow]:
        """DescribeCommands, all pages: the account's own saved commands. A name may have ``*`` at its ends."""
        request = imports.models.DescribeCommandsRequest(
            region_id=self.region_id,
            command_id=command_id,
            name=name,
            type=type,
            content_encoding="Base64",
            tag=tags_of(imports.models.DescribeCommandsRequestTag, tags),
            max_results=limits.COMMANDS_PAGE,
        )
        for page in self._pages("DescribeCommands", self._client.describe_commands_with_options, request):
            yield from map(CommandRow.read, rows_of(page, "Commands", "Command"))

    def create_command(self, command: CommandRow) -> str:
        """CreateCommand once, whatever the network does; returns the new command's id."""
        request = imports.models.CreateCommandRequest(
            region_id=self.region_id,
            name=command.name,
            description=command.description or None,
            type=command.type,
            command_content=_base64(command.content.encode()),
            content_encoding="Base64",
            timeout=command.timeout_s,
            working_dir=command.working_dir or None,
            launcher=command.launcher or None,
            enable_parameter=command.enable_parameter,
            resource_group_id=command.resource_group_id or None,
            tag=tags_of(imports.models.CreateCommandRequestTag, command.tags),
            client_token=str(uuid.uuid4()),
        )
        attempted = f"CreateCommand {command.name} in {self.region_id}"
        body = self._call(attempted, self._client.create_command_with_options, request, harmless=True)
        return str(body["CommandId"])

    def modify_command(self, command_id: str, changes: Mapping[str, Any]) -> None:
        """ModifyCommand: some of name, description, timeout_s, working_dir and launcher. A second one does no harm."""
        given = {"timeout" if name == "timeout_s" else name: value for name, value in changes.items()}
        request = imports.models.ModifyCommandRequest(region_id=self.region_id, command_id=command_id, **given)
        attempted = f"ModifyCommand {command_id} in {self.region_id}"
        self._call(attempted, self._client.modify_command_with_options, request, harmless=True)

    def delete_command(self, command_id: str) -> None:
        """DeleteCommand. A second one finds nothing to delete, and says so as an error."""
        request = imports.models.DeleteCommandRequest(region_id=self.region_id, command_id=command_id)
        attempted = f"DeleteCommand {command_id} in {self.region_id}"
        self._call(attempted, self._client.delete_command_with_options, request, harmless=True)

    def send_file(self, instance_ids: Sequence[str], *, folder: str, name: str, content: bytes, timeout_s: int) -> str:
        """SendFile once, whatever the network does: a file for its owner alone; returns the invocation's id."""
        request = imports.models.SendFileRequest(
            region_id=self.region_id,
            instance_id=list(instance_ids),
            target_dir=folder,
            name=name,
            content=_base64(content),
            content_type="Base64",
            file_mode="0600",
            timeout=timeout_s,
            client_token=str(uuid.uuid4()),
        )
        attempted = self._attempted("SendFile", instance_ids)
        body = self._call(attempted, self._client.send_file_with_options, request, harmless=True)
        return str(body["InvokeId"])

    def describe_send_file_results(self, invoke_id: str) -> dict[str, TaskRow]:
        """DescribeSendFileResults of one SendFile call: how it went on each instance."""
        request = imports.models.DescribeSendFileResultsRequest(
            region_id=self.region_id, invoke_id=invoke_id, max_results=limits.INVOCATIONS_PAGE
        )
        body = self._read("DescribeSendFileResults", self._client.describe_send_file_results_with_options, request)
        for row in rows_of(body, "Invocations", "Invocation"):
            return {
                task["InstanceId"]: TaskRow.read(invoke_id, task)
                for task in rows_of(row, "InvokeInstances", "InvokeInstance")
            }
        return {}

    def stop_invocation(self, invoke_id: str, instance_ids: Sequence[str]) -> None:
        """StopInvocation on at most ``limits.STOP_INVOCATION_IDS`` instances. A second one does no harm."""
        request = imports.models.StopInvocationRequest(
            region_id=self.region_id, invoke_id=invoke_id, instance_id=list(instance_ids)
        )
        attempted = self._attempted(f"StopInvocation of {invoke_id}", instance_ids)
        self._call(attempted, self._client.stop_invocation_with_options, request, harmless=True)

    def describe_invocation(self, invoke_id: str) -> InvocationRow | None:
        """DescribeInvocations of one invocation: every instance's status and exit code, no output."""
        request = imports.models.DescribeInvocationsRequest(
            region_id=self.region_id, invoke_id=invoke_id, max_results=limits.INVOCATIONS_PAGE
        )
        body = self._read("DescribeInvocations", self._client.describe_invocations_with_options, request)
        rows = rows_of(body, "Invocations", "Invocation")
        return InvocationRow.read(rows[0]) if rows else None

    def describe_invocations(
        self,
        tags: Mapping[str, str],
        *,
        invoke_id: str | None = None,
        instance_id: str | None = None,
        command_id: str | None = None,
        command_name: str | None = None,
        scheduled: bool | None = None,
    ) -> Iterator[InvocationRow]:
        """DescribeInvocations of all invocations that match, all pages."""
        request = imports.models.DescribeInvocationsRequest(
            region_id=self.region_id,
            tag=tags_of(imports.models.DescribeInvocationsRequestTag, tags),
            invoke_id=invoke_id,
            instance_id=instance_id,
            command_id=command_id,
            command_name=command_name,
            timed=scheduled,
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


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
