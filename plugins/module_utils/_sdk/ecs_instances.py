# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The calls about instances and the agents on them, one function each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import imports, limits
from .calls import Calls, rows_of, tags_of
from .shapes import AgentRow, EventRow, InstanceRow, ManagedRow, PowerRow


class InstanceCalls(Calls):
    """Looking at instances and their agents, and their power."""

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
            tag=tags_of(imports.models.DescribeInstancesRequestTag, tags),
            zone_id=zone_id,
            status=status,
            instance_name=name,
            max_results=limits.INSTANCES_PAGE,
        )
        for page in self._pages("DescribeInstances", self._client.describe_instances_with_options, request):
            yield from map(InstanceRow.read, rows_of(page, "Instances", "Instance"))

    def describe_managed_instances(self, instance_ids: Sequence[str]) -> Iterator[ManagedRow]:
        """DescribeManagedInstances of at most ``limits.MANAGED_INSTANCES_IDS`` ids; unknown ones are left out."""
        request = imports.models.DescribeManagedInstancesRequest(
            region_id=self.region_id, instance_id=list(instance_ids), max_results=limits.MANAGED_INSTANCES_PAGE
        )
        call = self._client.describe_managed_instances_with_options
        for page in self._pages("DescribeManagedInstances", call, request):
            yield from map(ManagedRow.read, rows_of(page, "Instances"))

    def reboot_instances(self, instance_ids: Sequence[str], *, force: bool, within_s: float) -> list[PowerRow]:
        """RebootInstances; :meth:`_power` says how."""
        request = imports.models.RebootInstancesRequest(force_reboot=force)
        call = self._client.reboot_instances_with_options
        return self._power("RebootInstances", call, request, instance_ids, within_s)

    def start_instances(self, instance_ids: Sequence[str], *, within_s: float) -> list[PowerRow]:
        """StartInstances; :meth:`_power` says how."""
        request = imports.models.StartInstancesRequest()
        return self._power("StartInstances", self._client.start_instances_with_options, request, instance_ids, within_s)

    def stop_instances(
        self, instance_ids: Sequence[str], *, force: bool, stopped_mode: str | None, within_s: float
    ) -> list[PowerRow]:
        """StopInstances; :meth:`_power` says how."""
        request = imports.models.StopInstancesRequest(force_stop=force, stopped_mode=stopped_mode)
        return self._power("StopInstances", self._client.stop_instances_with_options, request, instance_ids, within_s)

    def _power(
        self, action: str, call: Callable[..., Any], request: Any, instance_ids: Sequence[str], within_s: float
    ) -> list[PowerRow]:
        """Send a request about the power of at most ``limits.POWER_IDS`` instances, each for itself (SuccessFirst).

        It has no client token: raises :class:`NoAnswer` when the answer is lost, and is not sent again then. While it
        is throttled it is tried again, for at most ``within_s`` seconds.
        """
        request.region_id, request.instance_id = self.region_id, list(instance_ids)
        request.batch_optimization = "SuccessFirst"
        attempted = self._attempted(action, instance_ids)
        body = self._call(attempted, call, request, harmless=False, total_s=within_s)
        return [PowerRow.read(row) for row in rows_of(body, "InstanceResponses", "InstanceResponse")]

    def describe_system_events(self, instance_ids: Sequence[str], statuses: Sequence[str]) -> Iterator[EventRow]:
        """DescribeInstanceHistoryEvents of at most ``limits.EVENT_IDS`` instances, all pages.

        The statuses are always named: which events there are without them, the documentation and the service disagree.
        """
        request = imports.models.DescribeInstanceHistoryEventsRequest(
            region_id=self.region_id,
            resource_type="instance",
            resource_id=list(instance_ids),
            instance_event_cycle_status=list(statuses),
            max_results=limits.EVENTS_PAGE,
        )
        call = self._client.describe_instance_history_events_with_options
        for page in self._pages("DescribeInstanceHistoryEvents", call, request):
            yield from map(EventRow.read, rows_of(page, "InstanceSystemEventSet", "InstanceSystemEventType"))

    def tag_instances(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """TagResources of at most ``limits.TAG_IDS`` instances: sets these tags, once or twice comes to the same."""
        request = imports.models.TagResourcesRequest(
            region_id=self.region_id,
            resource_type="instance",
            resource_id=list(instance_ids),
            tag=tags_of(imports.models.TagResourcesRequestTag, tags),
        )
        attempted = self._attempted("TagResources", instance_ids)
        self._call(attempted, self._client.tag_resources_with_options, request, harmless=True)

    def untag_instances(self, instance_ids: Sequence[str], keys: Sequence[str]) -> None:
        """UntagResources of at most ``limits.TAG_IDS`` instances: no tag with these keys stays, if there was one."""
        request = imports.models.UntagResourcesRequest(
            region_id=self.region_id, resource_type="instance", resource_id=list(instance_ids), tag_key=list(keys)
        )
        attempted = self._attempted("UntagResources", instance_ids)
        self._call(attempted, self._client.untag_resources_with_options, request, harmless=True)

    def describe_cloud_assistant_status(self, instance_ids: Sequence[str]) -> list[AgentRow]:
        """DescribeCloudAssistantStatus of at most ``limits.ASSISTANT_STATUS_IDS`` ids; unknown ones are left out."""
        request = imports.models.DescribeCloudAssistantStatusRequest(
            region_id=self.region_id, instance_id=list(instance_ids)
        )
        call = self._client.describe_cloud_assistant_status_with_options
        body = self._read("DescribeCloudAssistantStatus", call, request)
        rows = rows_of(body, "InstanceCloudAssistantStatusSet", "InstanceCloudAssistantStatus")
        return [AgentRow.read(row) for row in rows]

    def install_cloud_assistant(self, instance_ids: Sequence[str], *, within_s: float) -> None:
        """InstallCloudAssistant on at most ``limits.INSTALL_IDS`` instances.

        It has no client token either: a lost answer is :class:`NoAnswer`, and the request is not sent again.
        """
        request = imports.models.InstallCloudAssistantRequest(region_id=self.region_id, instance_id=list(instance_ids))
        attempted = self._attempted("InstallCloudAssistant", instance_ids)
        call = self._client.install_cloud_assistant_with_options
        self._call(attempted, call, request, harmless=False, total_s=within_s)
