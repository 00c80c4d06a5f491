# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a simulated cloud together and takes it apart again."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from ecs_simulator.audit import Audit
from ecs_simulator.clock import Clock, FastClock, ManualClock, RealClock
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.errors import SimulatorError
from ecs_simulator.fleet import Fleet
from ecs_simulator.fleet_instances import InstanceSpec
from ecs_simulator.gateway.certificate import serve_with_new_certificate
from ecs_simulator.gateway.known_actions import check_fleet
from ecs_simulator.gateway.server import Gateway
from ecs_simulator.ids import Ids
from ecs_simulator.machines.base import Machine
from ecs_simulator.machines.namespace.machine import NamespaceMachine, why_not
from ecs_simulator.machines.nspawn import rootfs as rootfs_folder
from ecs_simulator.machines.nspawn.machine import NspawnMachine
from ecs_simulator.machines.nspawn.machine import why_not as why_no_nspawn
from ecs_simulator.machines.scripted import ScriptedMachine
from ecs_simulator.state import State

# What Alibaba's old SDK for Python, requests, OpenSSL, curl and Node take authorities from.
_TRUST = ("ALIBABA_CLOUD_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


@dataclass(frozen=True)
class Endpoint:
    """How to reach a running simulator; the content of the ready file, apart from the pid."""

    ecs_endpoint: str
    oos_endpoint: str
    region_id: str
    access_key_id: str
    access_key_secret: str
    ca_file: str = ""
    """With HTTPS the authorities that a client has to trust."""

    def environment(self) -> dict[str, str]:
        """The variables with which SDKs and the collection find it, and trust it."""
        return {
            **(dict.fromkeys(_TRUST, self.ca_file) if self.ca_file else {}),
            "ALIBABA_CLOUD_ECS_ENDPOINT": self.ecs_endpoint,
            "ALIBABA_CLOUD_OOS_ENDPOINT": self.oos_endpoint,
            "ALIBABA_CLOUD_REGION_ID": self.region_id,
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.access_key_secret,
        }


class Simulator:
    """A fleet that is served over HTTP between :meth:`start` and :meth:`close`.

    ``state_dir`` keeps the machines' files; without one they live in a temporary folder that goes with
        :meth:`close`. ``machine`` overrides the kind of every Linux machine, ``clock`` the fleet's. With ``tls`` it
    serves HTTPS. ``rootfs`` is that of the nspawn machines; without one the environment names it.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        state_dir: Path | None = None,
        audit_log: Path | None = None,
        machine: str | None = None,
        clock: Clock | None = None,
        tls: bool = False,
        rootfs: Path | None = None,
    ) -> None:
        self._fleet = _with_machine(fleet, machine) if machine else fleet
        self._clock = clock or _clock(self._fleet)
        self._state_dir = state_dir
        self._tls = tls
        self._rootfs = rootfs_folder.find(rootfs)
        self._state: State | None = None
        self._audit = Audit(self._clock, audit_log)
        self._gateway: Gateway | None = None
        self.cloud: Cloud | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Endpoint:
        """Boot the fleet and serve it; raises :class:`SimulatorError`."""
        state = self._state = State(self._state_dir)
        fleet = await self._settle_machine_kinds(state.path)
        check_fleet(fleet)
        ids = Ids(fleet.seed, state.next_start())
        self.cloud = Cloud(
            fleet,
            clock=self._clock,
            audit=self._audit,
            ids=ids,
            make_machine=lambda spec: self._machine(spec, state.machines),
        )
        await self.cloud.start()
        self._gateway = Gateway(self.cloud)
        try:
            tls, ca_file = serve_with_new_certificate(state.path.absolute() / "tls", host) if self._tls else (None, "")
        except OSError as error:
            raise SimulatorError(f"cannot use the state folder {state.path / 'tls'}: {error.strerror}") from error
        try:
            bound = await self._gateway.start(host, port, tls)
        except OSError as error:
            raise SimulatorError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        url = f"{'https' if tls else 'http'}://{host}:{bound}"
        key = fleet.access_keys[0]
        return Endpoint(url, url, fleet.regions[0], key.id, key.secret, str(ca_file))

    async def close(self) -> None:
        """Stop serving and end every machine."""
        if self._gateway:
            await self._gateway.close()
        if self.cloud:
            await self.cloud.close()
        self._audit.close()
        if self._state:
            self._state.close()

    async def _settle_machine_kinds(self, folder: Path) -> Fleet:
        """Replace ``auto`` by ``namespace`` where that works, by ``scripted`` elsewhere, and say so."""
        kinds = {spec.machine for spec in self._fleet.instances + self._fleet.images}
        if "nspawn" in kinds:
            self._require_nspawn(folder)
        for kind in ("scripted", "nspawn"):
            if kinds == {kind}:
                # Then what is made while it runs is so too, unless its image says otherwise.
                return _with_machine(self._fleet, kind, only="auto")
        if self._fleet.default_image.machine == "scripted":
            return self._fleet
        if isinstance(self._clock, RealClock):
            reason = await why_not(folder)
            if reason is None:
                return _with_machine(self._fleet, "namespace", only="auto")
            advice = (
                "allow unprivileged user namespaces (sysctl user.max_user_namespaces, "
                "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns) "
                "or, in a container, do not mask /proc"
            )
        else:
            reason = "processes live in real time, and the fleet's clock is another"
            advice = "leave clock and speed out"
        if "namespace" in kinds:
            raise SimulatorError(f"{reason}; to enable namespace machines, {advice}")
        print(
            f"ecs-simulator: WARNING: no script will really run: {reason}. All machines are scripted and answer "
            f"from the fleet file. To enable namespace machines, {advice}.",
            file=sys.stderr,
            flush=True,
        )
        return _with_machine(self._fleet, "scripted", only="auto")

    def _require_nspawn(self, folder: Path) -> None:
        if not isinstance(self._clock, RealClock):
            raise SimulatorError("nspawn machines live in real time: leave clock and speed out")
        if reason := why_no_nspawn(self._rootfs, folder):
            raise SimulatorError(reason)

    def _machine(self, spec: InstanceSpec, folder: Path) -> Machine:
        if spec.machine == "nspawn":
            assert self._rootfs
            return NspawnMachine(spec, self._fleet.settings, folder / spec.id, self._rootfs)
        if spec.machine == "namespace":
            return NamespaceMachine(spec, self._fleet.settings, folder / spec.id)
        return ScriptedMachine(spec, self._clock)


def _clock(fleet: Fleet) -> Clock:
    if fleet.clock == "virtual":
        return ManualClock(float(int(time.time())))
    return RealClock() if fleet.speed == 1 else FastClock(fleet.speed)


def _with_machine(fleet: Fleet, kind: str, *, only: str | None = None) -> Fleet:
    """The fleet with another kind of machine on its Linux instances, or only on those of kind ``only``."""

    def changed(spec: InstanceSpec) -> InstanceSpec:
        return replace(spec, machine=kind) if spec.os == "linux" and only in (None, spec.machine) else spec

    return replace(
        fleet,
        instances=tuple(map(changed, fleet.instances)),
        images=tuple(map(changed, fleet.images)),
        default_image=changed(fleet.default_image),
    )
