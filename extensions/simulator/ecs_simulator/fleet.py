# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet file: which regions, instances and access keys the simulated cloud has.

The file is YAML. An unknown key is an error that names the nearest known one, because a key that is silently
ignored makes a rehearsal prove the wrong thing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ecs_simulator.errors import FleetError
from ecs_simulator.fleet_callers import AccessKey, Role, Throttle, access_key, role, throttling
from ecs_simulator.fleet_faults import AnyFault, fleet_fault, requested_fault
from ecs_simulator.fleet_instances import IMAGE, InstanceSpec, read_image, read_instances
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.fleet_settings import Settings, read_settings
from ecs_simulator.ids import instance_id

CLOCKS = ("real", "virtual")
MAXIMUM_SPEED = 10_000.0


@dataclass(frozen=True)
class Fleet:
    """A whole simulated account."""

    seed: int
    account_id: str
    access_keys: tuple[AccessKey, ...]
    regions: tuple[str, ...]
    instances: tuple[InstanceSpec, ...]
    settings: Settings
    faults: tuple[AnyFault, ...] = ()
    clock: str = "real"
    """``virtual``: the time stands still until a request moves it."""
    speed: float = 1.0
    """How many times as fast as the real time the real clock runs."""
    roles: tuple[Role, ...] = ()
    throttling: dict[str, Throttle] = field(default_factory=dict)
    images: tuple[InstanceSpec, ...] = ()
    default_image: InstanceSpec = IMAGE
    """What an instance of an image that the fleet file does not know is like."""
    source: str = ""
    """The file that it comes from, for sentences about it."""

    def image(self, image_id: str) -> InstanceSpec:
        """What an instance of that image is like; one with "win" in its id is Windows."""
        for image in self.images:
            if image.image_id == image_id:
                return image
        if "win" in image_id.lower():
            return replace(self.default_image, image_id=image_id, os="windows", machine="scripted")
        return replace(self.default_image, image_id=image_id)


def load_fleet(path: Path) -> Fleet:
    """Read a fleet file; raises :class:`FleetError` with one sentence."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"cannot read the fleet file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FleetError(f"the fleet file {path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return replace(parse_fleet(document), source=str(path))
    except FleetError as error:
        raise FleetError(f"{path}: {error}") from error


def parse_fleet(document: Any) -> Fleet:
    """Turn the parsed YAML of a fleet file into a :class:`Fleet`."""
    root = Reader(document)
    seed = root.take("seed", int, 1)
    account_id = root.take("account_id", str, "1000000000000001")
    clock = root.choice("clock", CLOCKS, "real")
    speed = root.take("speed", float, 1.0)
    if not 0 < speed <= MAXIMUM_SPEED:
        root.fail("speed", f"must be above 0 and at most {MAXIMUM_SPEED:.0f}, not {speed:g}")
    if clock == "virtual" and speed != 1:
        root.fail("speed", "goes with clock: real, because a virtual clock stands still")
    keys = tuple(access_key(reader) for reader in root.readers("access_keys"))
    if not keys:
        raise FleetError("access_keys must hold at least one key, such as {id: demo, secret: demo-secret}")
    _check_once("access_keys", "keys", "id", (key.id for key in keys))
    roles = tuple(role(reader) for reader in root.readers("roles"))
    _check_once("roles", "roles", "name", (role.name for role in roles))
    limits = throttling(root.reader("throttling"))
    settings = read_settings(root.reader("settings"))
    faults = root.readers("faults")
    images = tuple(read_image(reader) for reader in root.readers("images"))
    instances: list[InstanceSpec] = []
    regions = root.reader("regions")
    region_ids = regions.keys()
    for region_id in region_ids:
        if not region_id:
            raise FleetError("regions holds a region without a name")
        region = regions.reader(region_id)
        for reader in region.readers("instances"):
            instances.extend(read_instances(reader, seed, region_id))
        region.finish()
    root.finish()
    if not region_ids:
        raise FleetError("regions must hold at least one region")
    _check_instances(seed, instances)
    names = _names({spec.id: spec.name for spec in instances})
    return Fleet(
        seed,
        account_id,
        keys,
        tuple(region_ids),
        tuple(instances),
        settings,
        tuple(fleet_fault(reader, names) for reader in faults),
        clock,
        speed,
        roles,
        limits,
        images,
    )


def parse_fault(document: Any, instances: Mapping[str, str]) -> AnyFault:
    """Turn the parsed JSON of a request into one more fault; ``instances`` are names by id."""
    return requested_fault(Reader(document, whole="the body"), _names(instances))


def _check_once(where: str, what: str, key: str, values: Iterable[str]) -> None:
    for value, times in Counter(values).items():
        if times > 1:
            raise FleetError(f"{where} holds {times} {what} with the {key} {value!r}: each must have its own")


def _check_instances(seed: int, instances: list[InstanceSpec]) -> None:
    """Where no id is given it follows from the name, so then it is the names that are the same."""
    for id_, times in Counter(spec.id for spec in instances).items():
        if times == 1:
            continue
        same = [spec for spec in instances if spec.id == id_]
        if all(spec.id == instance_id(seed, spec.region_id, spec.name, managed=spec.managed) for spec in same):
            raise FleetError(
                f"regions.{same[0].region_id} holds {times} instances with the name {same[0].name!r}: "
                "names must differ within a region"
            )
        raise FleetError(f"regions holds {times} instances with the id {id_}: ids must differ")


def _names(instances: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for id_, name in instances.items():
        names.setdefault(name, []).append(id_)
    return names | {id_: [id_] for id_ in instances}
