# SPDX-License-Identifier: GPL-3.0-or-later
"""SendFile and DescribeSendFileResults. Codes are those of the error table of Alibaba's API reference."""

import base64
import binascii
import re
from typing import Any

from ecs_simulator.api.client_token import once
from ecs_simulator.api.command_fields import read_tags
from ecs_simulator.api.invocation_rows import tag_fields
from ecs_simulator.api.paging import read_page
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.api.targets import read_hosts
from ecs_simulator.clock import iso
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError, invalid
from ecs_simulator.cloud.files import Delivery, FileSpec, SentFiles

_MAXIMUM_IDS = 50
_MAXIMUM_PAGE = 50
_MAXIMUM_BYTES = 32 * 1024
_MINIMUM_TIMEOUT_S = 10
_DEFAULT_TIMEOUT_S = 60
_MODE = re.compile(r"[0-7]{3,4}")


def send_file(cloud: Cloud, parameters: Parameters, caller: str) -> dict[str, Any]:
    return once(cloud, parameters, caller, lambda: _send(cloud, parameters))


def _send(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    file = _read_file(cloud, parameters)
    hosts = read_hosts(cloud, parameters, region_id, _MAXIMUM_IDS)
    now = cloud.clock.time()
    deliveries = {host.instance.id: Delivery(host.instance.id, now, now) for host in hosts}
    tags, group_id = read_tags(parameters), parameters.text("ResourceGroupId")
    sent = SentFiles(cloud.ids.file(), region_id, file, now, deliveries, tags, group_id)
    cloud.files.send(sent)
    return {"InvokeId": sent.id}


def _read_file(cloud: Cloud, parameters: Parameters) -> FileSpec:
    name = parameters.required("Name")
    if len(name) > 255:
        raise ApiError(403, "FileName.ExceedLimit", "The length of file name exceeds limit.")
    target_dir = parameters.required("TargetDir")
    if len(target_dir) > 255:
        raise ApiError(400, "FileTargetDir.Invalid", "The target directory of file is invalid.")
    description = parameters.text("Description")
    if len(description) > 512:
        raise ApiError(403, "FileDesc.ExceedLimit", "The length of file description exceeds limit.")
    mode = parameters.text("FileMode")
    if mode and not _MODE.fullmatch(mode):
        raise ApiError(400, "FileMode.Invalid", "The mode of file is invalid.")
    owner, group = parameters.text("FileOwner"), parameters.text("FileGroup")
    for parameter, value in (("FileOwner", owner), ("FileGroup", group)):
        if len(value) > 64:
            raise invalid(parameter)
    content_type = parameters.text("ContentType") or "PlainText"
    timeout_s = parameters.number("Timeout", _DEFAULT_TIMEOUT_S)
    if timeout_s > cloud.fleet.settings.maximum_timeout_s:
        raise ApiError(403, "InvalidTimeout.ExceedLimit", "The specified parameter Timeout exceeds the upper limit.")
    return FileSpec(
        name=name,
        target_dir=target_dir,
        content=_read_content(parameters, content_type),
        content_type=content_type,
        mode=mode,
        owner=owner,
        group=group,
        overwrite=parameters.flag("Overwrite"),
        description=description,
        timeout_s=max(timeout_s, _MINIMUM_TIMEOUT_S),
    )


def _read_content(parameters: Parameters, content_type: str) -> bytes:
    text = parameters.required("Content")
    if content_type == "PlainText":
        content = text.encode()
    elif content_type == "Base64":
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(400, "FileContent.DecodeError", "The Content can not be base64 decoded.") from None
    else:
        raise ApiError(400, "FileContentType.Invalid", "The ContentType of file is invalid.")
    if len(base64.b64encode(content)) > _MAXIMUM_BYTES:
        raise ApiError(403, "FileSize.ExceedLimit", "The length of file content exceeds limit.")
    return content


def describe_send_file_results(cloud: Cloud, parameters: Parameters) -> dict[str, Any]:
    region_id = parameters.required("RegionId")
    cloud.require_region(region_id)
    instance_id = parameters.text("InstanceId")
    tags = parameters.tags()
    found = [
        sent
        for sent in reversed(cloud.files.sent.values())
        if sent.region_id == region_id
        and parameters.text("InvokeId") in ("", sent.id)
        and parameters.text("Name") in ("", sent.file.name)
        and parameters.text("InvocationStatus") in ("", sent.status)
        and parameters.text("ResourceGroupId") in ("", sent.resource_group_id)
        and (not instance_id or instance_id in sent.deliveries)
        and tags.items() <= sent.tags.items()
    ]
    page = read_page(parameters, len(found), maximum=_MAXIMUM_PAGE)
    rows = [_describe(sent, instance_id) for sent in page.cut(found)]
    return {"Invocations": {"Invocation": rows}, **page.uncounted_fields()}


def _describe(sent: SentFiles, instance_id: str) -> dict[str, Any]:
    file = sent.file
    plain = file.content_type == "PlainText"
    rows = [_describe_delivery(row) for row in sent.deliveries.values() if instance_id in ("", row.instance_id)]
    return {
        "InvokeId": sent.id,
        "Name": file.name,
        "TargetDir": file.target_dir,
        "Content": file.content.decode() if plain else base64.b64encode(file.content).decode(),
        "ContentType": file.content_type,
        "Description": file.description,
        "FileMode": file.mode or "0644",
        "FileOwner": file.owner or "root",
        "FileGroup": file.group or "root",
        "Overwrite": "true" if file.overwrite else "false",
        "CreationTime": iso(sent.created),
        "InvocationStatus": sent.status,
        "VmCount": len(sent.deliveries),
        "InvokeInstances": {"InvokeInstance": rows},
        **tag_fields(sent.tags),
    }


def _describe_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "InstanceId": delivery.instance_id,
        "InvocationStatus": delivery.status,
        "CreationTime": iso(delivery.created),
        "StartTime": "" if delivery.started is None else iso(delivery.started),
        "FinishTime": "" if delivery.finished is None else iso(delivery.finished),
        "UpdateTime": iso(delivery.updated),
        "ErrorCode": delivery.error_code,
        "ErrorInfo": delivery.error_info,
    }
