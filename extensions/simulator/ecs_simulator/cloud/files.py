# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are sent to instances.

The agent's rules are those of the facts of the real agent: folders are made on the way, the file is written in place,
and setuid and sticky bits are dropped. What it calls invalid it says in a request that is broken by a space in the
value, so that the service never hears of it.
"""

import asyncio
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock
from ecs_simulator.cloud.host import Host
from ecs_simulator.cloud.later import Later
from ecs_simulator.fleet_settings import Settings
from ecs_simulator.machines.base import MachineGone, SentFile

# The agent's word → what the service makes of it, the code and the text being those of DescribeSendFileResults.
_PROBLEMS = {
    "CreateDirFailed": ("Failed", "FilePathInvalid", "File path is invalid"),
    "FileCreateFail": ("Failed", "FileCreateFail", "Unexpected error during creating"),
    "Chown": ("Failed", "FileAuthorityInvalid", "Mode is invalid"),
    "Chmod": ("Failed", "FileAuthorityInvalid", "Mode is invalid"),
    "FileExist": ("Invalid", "FileAlreadyExists", "File already exists"),
    "FileGroupNotExist": ("Invalid", "UserGroupNotExists", "Group not exists"),
    "FileOwnerNotExist": ("Invalid", "AccountNotExists", "Owner not exists"),
}


@dataclass(frozen=True)
class FileSpec:
    """A file as SendFile takes it."""

    name: str
    target_dir: str
    content: bytes
    content_type: str
    mode: str = ""
    owner: str = ""
    group: str = ""
    overwrite: bool = False
    description: str = ""
    timeout_s: int = 60


@dataclass
class Delivery:
    """A file on its way to one instance."""

    instance_id: str
    created: float
    updated: float
    status: str = "Pending"
    error_code: str = ""
    error_info: str = ""
    started: float | None = None
    finished: float | None = None


@dataclass
class SentFiles:
    """One SendFile call."""

    id: str
    region_id: str
    file: FileSpec
    created: float
    deliveries: dict[str, Delivery]
    tags: dict[str, str] = field(default_factory=dict)
    resource_group_id: str = ""

    @property
    def status(self) -> str:
        statuses = {delivery.status for delivery in self.deliveries.values()}
        for unfinished in ("Pending", "Running"):
            if unfinished in statuses:
                return unfinished
        if statuses == {"Success"}:
            return "Success"
        return "PartialFailed" if "Success" in statuses else "Failed"


class Files:
    """The files that an account sends."""

    def __init__(
        self,
        clock: Clock,
        audit: Audit,
        settings: Settings,
        hosts: Mapping[str, Host],
        later: Later,
    ) -> None:
        self._clock = clock
        self._audit = audit
        self._settings = settings
        self._hosts = hosts
        self._later = later
        self.sent: dict[str, SentFiles] = {}

    def send(self, sent: SentFiles) -> None:
        """Start to send a file to hosts that are known to be fit for it."""
        self.sent[sent.id] = sent
        for delivery in sent.deliveries.values():
            host = self._hosts[delivery.instance_id]
            if host.instance.status != "Running":
                text = "the instance is not running when create task"
                self._finish(delivery, "Aborted", "InstanceNotRunning", text)
            elif host.online:
                self._later.start(self._deliver(sent, delivery, host))
            else:
                self._later.start(self._abort_undelivered(delivery))

    def fetch(self, host: Host) -> None:
        """An agent asks for what waits for it."""
        for sent in self.sent.values():
            delivery = sent.deliveries.get(host.instance.id)
            if delivery and delivery.status == "Pending":
                self._later.start(self._deliver(sent, delivery, host))

    def released(self, instance_id: str) -> None:
        """An instance is gone, and nothing is heard of what it has not said."""
        for sent in self.sent.values():
            delivery = sent.deliveries.get(instance_id)
            if delivery:
                self._finish(delivery, "Failed", "InstanceReleased", "the specified instance has been released")

    async def _abort_undelivered(self, delivery: Delivery) -> None:
        await self._clock.sleep(self._settings.delivery_timeout_s)
        if delivery.status == "Pending":
            self._finish(delivery, "Aborted", "ClientNotRunning", "the aliyun service is not running on the instance")

    async def _deliver(self, sent: SentFiles, delivery: Delivery, host: Host) -> None:
        """The agent's part. It works on while it does not reach the service, and tries to report once."""
        delivery.status = "Running"
        delivery.started = delivery.updated = self._clock.time()
        file = _for_machine(sent.file)
        try:
            problem = await host.machine.receive(file)
        except MachineGone:
            problem, heard = "", False
        else:
            self._audit.machine(delivery.instance_id, "file_received", invoke_id=sent.id, problem=problem)
            await asyncio.sleep(0)  # a fault that the event sets off comes before the report
            values = {"FileGroupNotExist": file.group, "FileOwnerNotExist": file.owner, "FileExist": file.path}
            heard = host.online and " " not in values.get(problem, "")
        if not heard:
            await self._clock.sleep(max(0.0, delivery.started + sent.file.timeout_s - self._clock.time()))
            self._finish(delivery, "Timeout", "DeliveryTimeout", "the command delivery has been timeout")
        elif problem:
            self._finish(delivery, *_PROBLEMS[problem])
        else:
            self._finish(delivery, "Success")

    def _finish(self, delivery: Delivery, status: str, error_code: str = "", error_info: str = "") -> None:
        if delivery.finished is not None:
            return
        delivery.status, delivery.error_code, delivery.error_info = status, error_code, error_info
        delivery.finished = delivery.updated = self._clock.time()


def _for_machine(file: FileSpec) -> SentFile:
    return SentFile(
        folder=file.target_dir,
        path=posixpath.normpath(f"{file.target_dir}/{file.name}"),
        content=file.content,
        mode=int(file.mode or "0644", 8) & 0o777,
        owner=file.owner,
        group=file.group,
        overwrite=file.overwrite,
    )
