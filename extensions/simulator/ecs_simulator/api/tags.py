# SPDX-License-Identifier: GPL-3.0-or-later
"""TagResources, UntagResources and ListTagResources."""

from collections.abc import Callable, Mapping
from typing import Any

from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, missing

_MAXIMUM_IDS = 50
_MAXIMUM_TAGS = 20
_MAXIMUM_LENGTH = 128
_PAGE = 50

Tagged = Mapping[str, dict[str, str]]
"""The tags of each resource of a type, by the resource's id."""


def _instances(cloud: Cloud, region_id: str) -> Tagged:
    return {host.instance.id: host.instance.tags for host in cloud.hosts_in(region_id)}


def _managed_instances(cloud: Cloud, region_id: str) -> Tagged:
    return {host.instance.id: host.instance.tags for host in cloud.hosts_in(region_id, managed=True)}


def _activations(cloud: Cloud, region_id: str) -> Tagged:
    return {item.id: item.tags for item in cloud.activations.values() if item.region_id == region_id}


def _invocations(cloud: Cloud, region_id: str) -> Tagged:
    return {item.id: item.tags for item in cloud.commands.invocations.values() if item.region_id == region_id}


def _commands(cloud: Cloud, region_id: str) -> Tagged:
    return {item.command.id: item.tags for item in cloud.saved_commands.in_region(region_id)}


# Of the types that the service knows, those of which the simulator has any.
_TYPES: dict[str, Callable[[Cloud, str], Tagged]] = {
    "instance": _instances,
    "managedinstance": _managed_instances,
    "activation": _activations,
    "invocation": _invocations,
    "command": _commands,
}


def tag_resources(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    chosen = _chosen(cloud, parameters)
    tags = parameters.tags()
    if not tags:
        raise missing("Tag")
    for key, value in tags.items():
        _check(key, value)
    for of_resource in chosen.values():
        if len(of_resource.keys() | tags.keys()) > _MAXIMUM_TAGS:
            raise _too_many("Tags", "tags")

    def tag() -> None:
        for of_resource in chosen.values():
            of_resource |= tags

    cloud.later(cloud.fleet.settings.tags_read_after_s, tag)
    return {}


def untag_resources(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    chosen = _chosen(cloud, parameters)
    keys = parameters.numbered("TagKey")
    if len(keys) > _MAXIMUM_TAGS:
        raise _too_many("Tags", "tags")
    if not keys and not parameters.flag("All"):
        raise missing("TagKey")

    def untag() -> None:
        for tags in chosen.values():
            for key in keys or list(tags):
                tags.pop(key, None)

    cloud.later(cloud.fleet.settings.tags_read_after_s, untag)
    return {}


def list_tag_resources(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    type_, resources = _resources(cloud, parameters)
    ids = _ids(parameters)
    wanted = parameters.tags()
    if not ids and not wanted:
        raise missing("ResourceId")
    rows = [
        {"ResourceType": type_, "ResourceId": id_, "TagKey": key, "TagValue": value}
        for id_, tags in resources.items()
        if (not ids or id_ in ids) and all(key in tags and text in ("", tags[key]) for key, text in wanted.items())
        for key, value in tags.items()
    ]
    page = read_page(parameters, len(rows), maximum=_PAGE, default=_PAGE)
    return {"TagResources": {"TagResource": page.cut(rows)}, "NextToken": page.fields()["NextToken"]}


def _chosen(cloud: Cloud, parameters: Parameters) -> Tagged:
    """The resources that a request names; one that does not exist refuses it."""
    _type, resources = _resources(cloud, parameters)
    ids = _ids(parameters)
    if not ids:
        raise missing("ResourceId")
    if not resources.keys() >= set(ids):
        raise ApiError(404, "InvalidResourceId.NotFound", "The specified ResourceIds are not found in our records.")
    return {id_: resources[id_] for id_ in ids}


def _resources(cloud: Cloud, parameters: Parameters) -> tuple[str, Tagged]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    type_ = parameters.required("ResourceType")
    if type_ not in _TYPES:
        raise ApiError(404, "InvalidResourceType.NotFound", "The ResourceType provided does not exist in our records.")
    return type_, _TYPES[type_](cloud, region_id)


def _ids(parameters: Parameters) -> list[str]:
    ids = parameters.numbered("ResourceId")
    if len(ids) > _MAXIMUM_IDS:
        raise _too_many("ResourceIds", "ResourceIds")
    return ids


def _check(key: str, value: str) -> None:
    """What a tag may look like (SDK docstring of TagResourcesRequest)."""
    links = ("http://", "https://")
    if len(key) > _MAXIMUM_LENGTH or key.startswith(("aliyun", "acs:")) or any(link in key for link in links):
        raise ApiError(400, "InvalidTagKey.Malformed", "The specified Tag.n.Key is not valid.")
    if len(value) > _MAXIMUM_LENGTH or any(link in value for link in links):
        raise ApiError(400, "InvalidTagValue.Malformed", "The specified Tag.n.Value is not valid.")


def _too_many(code: str, what: str) -> ApiError:
    return ApiError(400, f"NumberExceed.{code}", f"The maximum number of {what} is exceeded.")
