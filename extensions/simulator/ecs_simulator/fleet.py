# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet file: which regions, instances and access keys the simulated cloud has.

The file is YAML. An unknown key is an error that names the nearest known one, because a key that is silently
ignored makes a rehearsal prove the wrong thing.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ecs_simulator.errors import FleetError
from ecs_simulator.fleet_faults import Fault, fleet_fault, requested_fault
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.ids import instance_id

MACHINE_KINDS = ("auto", "namespace", "scripted")
CLOCKS = ("real", "virtual")
MAXIMUM_SPEED = 10_000.0
_INSTANCE_ID = re.compile(r"i-[a-z0-9]{8,30}")


@dataclass(frozen=True)
class AccessKey:
    """A caller's credentials."""

    id: str
    secret: str


@dataclass(frozen=True)
class Agent:
    """The Cloud Assistant Agent on an instance as it is at first boot."""

    version: str = "2.2.3.1065"
    running: bool = True


@dataclass(frozen=True)
class Update:
    """A package update that waits for the machine's stand-in package manager."""

    name: str
    from_version: str
    to_version: str
    restart: bool = False
    """Installing it makes ``needs-restarting -r`` ask for a restart."""
    fails: int = 0
    """How many attempts to install it fail before one passes."""


@dataclass(frozen=True)
class Answer:
    """What a scripted machine answers to a command whose text contains ``match``."""

    match: str = ""
    exit_code: int = 0
    output: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class InstanceSpec:
    """One instance as the fleet file describes it."""

    id: str
    name: str
    region_id: str
    zone_id: str
    os: str = "linux"
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "Running"
    boot_s: float = 2.0
    machine: str = "auto"
    agent: Agent = Agent()
    dnf: bool = True
    """The machine has a stand-in package manager, which knows ``updates`` and nothing else."""
    updates: tuple[Update, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What is unknown about the real service, as switches with a stated default."""

    guest_restart_shows_in_status: bool = False
    """Whether ``Status`` and ``StartTime`` change when an instance restarts without the API: by its guest, or because
    it lost its power."""
    interrupted_error_code: str = "InstanceRestarted"
    """The ErrorCode of a command that ran when its instance restarted."""
    agent_restart_s: float = 120.0
    """How long after the end of the agent its service starts it again (RestartSec of its unit)."""
    agent_restart_redelivers: bool = True
    """Whether what an agent left unfinished is delivered to the next one on the same boot, which then refuses what has
    a script file (ScriptFileExisted). Otherwise it is an Error, ClientRestarted."""
    report_retry_s: float = 2.0
    """How long the agent waits between the four tries of a final report."""
    unreported_timeout_s: float = 60.0
    """How long after its time is up a command that nobody reports is a Timeout."""
    delivery_timeout_s: float = 60.0
    """How long a command waits for an agent that is offline before it is Aborted."""
    output_quota_bytes: int = 12_000
    """How much of a command's output the agent delivers."""
    stop_grace_s: float = 2.0
    """How long processes get between SIGTERM and SIGKILL when a machine shuts down."""


@dataclass(frozen=True)
class Fleet:
    """A whole simulated account."""

    seed: int
    account_id: str
    access_keys: tuple[AccessKey, ...]
    regions: tuple[str, ...]
    instances: tuple[InstanceSpec, ...]
    settings: Settings
    faults: tuple[Fault, ...] = ()
    clock: str = "real"
    """``virtual``: the time stands still until a request moves it."""
    speed: float = 1.0
    """How many times as fast as the real time the real clock runs."""


def load_fleet(path: Path) -> Fleet:
    """Read a fleet file; raises :class:`FleetError` with one sentence."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"cannot read the fleet file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FleetError(f"the fleet file {path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return parse_fleet(document)
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
    keys = tuple(_access_key(reader) for reader in root.readers("access_keys"))
    if not keys:
        raise FleetError("access_keys must hold at least one key, such as {id: demo, secret: demo-secret}")
    settings = _settings(root.reader("settings"))
    faults = root.readers("faults")
    instances: list[InstanceSpec] = []
    regions = root.reader("regions")
    region_ids = regions.keys()
    for region_id in region_ids:
        region = regions.reader(region_id)
        for reader in region.readers("instances"):
            instances.extend(_instances(reader, seed, region_id))
        region.finish()
    root.finish()
    if not region_ids:
        raise FleetError("regions must hold at least one region")
    for id_, times in Counter(spec.id for spec in instances).items():
        if times > 1:
            raise FleetError(f"regions holds {times} instances with the id {id_}: names must differ within a region")
    names = _names(instances)
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
    )


def parse_fault(document: Any, fleet: Fleet) -> Fault:
    """Turn the parsed JSON of a request into one more :class:`Fault` of a fleet."""
    return requested_fault(Reader(document, whole="the body"), _names(fleet.instances))


def _names(instances: Sequence[InstanceSpec]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for spec in instances:
        names.setdefault(spec.name, []).append(spec.id)
    return names | {spec.id: [spec.id] for spec in instances}


def _access_key(reader: Reader) -> AccessKey:
    key = AccessKey(reader.take("id", str), reader.take("secret", str))
    reader.finish()
    return key


def _settings(reader: Reader) -> Settings:
    default = Settings()
    values = {}
    for setting in fields(Settings):
        value = getattr(default, setting.name)
        values[setting.name] = reader.take(setting.name, type(value), value)
    reader.finish()
    return Settings(**values)


def _instances(reader: Reader, seed: int, region_id: str) -> Iterator[InstanceSpec]:
    """The instances one entry stands for: ``count`` of them, numbered from 1 in ``name``."""
    name = reader.take("name", str)
    count = reader.take("count", int, 1)
    explicit_id = reader.take("id", str, "")
    zone_id = reader.take("zone", str, f"{region_id}-h")
    os_type = reader.choice("os", ("linux", "windows"), "linux")
    tags = {str(key): str(value) for key, value in reader.take("tags", dict, {}).items()}
    status = reader.choice("status", ("Running", "Stopped"), "Running")
    boot_s = reader.take("boot_s", float, 2.0)
    machine = reader.choice("machine", MACHINE_KINDS, "auto")
    agent = _agent(reader.reader("agent"))
    dnf = reader.take("dnf", bool, True)
    updates = tuple(_update(update) for update in reader.readers("updates"))
    answers = tuple(_answer(answer) for answer in reader.readers("answers"))
    reader.finish()
    if count < 1:
        reader.fail("count", "must be at least 1")
    if explicit_id and count > 1:
        reader.fail("id", "names one instance: leave it out, or set count to 1")
    if explicit_id and not _INSTANCE_ID.fullmatch(explicit_id):
        reader.fail("id", f"must be i- and 8 to 30 lower case letters or digits, not {explicit_id!r}")
    if os_type == "windows" and machine == "namespace":
        reader.fail("machine", "must be scripted for a Windows instance")
    if updates and not dnf:
        reader.fail("updates", "need the stand-in package manager: leave dnf out")
    for package, times in Counter(update.name for update in updates).items():
        if times > 1:
            reader.fail("updates", f"name {package} {times} times: a package has one update")
    for number in range(1, count + 1):
        try:
            full_name = name.format(n=number)
        except (KeyError, IndexError, ValueError):
            reader.fail("name", f"may only hold {{n}} or {{n:02d}} in braces, unlike {name!r}")
        yield InstanceSpec(
            id=explicit_id or instance_id(seed, region_id, full_name),
            name=full_name,
            region_id=region_id,
            zone_id=zone_id,
            os=os_type,
            tags=tags,
            status=status,
            boot_s=boot_s,
            machine="scripted" if os_type == "windows" else machine,
            agent=agent,
            dnf=dnf,
            updates=updates,
            answers=answers,
        )


def _agent(reader: Reader) -> Agent:
    default = Agent()
    version = reader.take("version", str, default.version)
    state = reader.choice("state", ("running", "stopped"), "running")
    reader.finish()
    return Agent(version=version, running=state == "running")


def _update(reader: Reader) -> Update:
    update = Update(
        name=reader.take("name", str),
        from_version=reader.take("from", str),
        to_version=reader.take("to", str),
        restart=reader.take("restart", bool, False),
        fails=reader.take("fails", int, 0),
    )
    reader.finish()
    for key, value in (("name", update.name), ("from", update.from_version), ("to", update.to_version)):
        if not re.fullmatch(r"[A-Za-z0-9._+~:-]+", value):
            reader.fail(key, f"must be a package name or version, not {value!r}")
    return update


def _answer(reader: Reader) -> Answer:
    answer = Answer(
        match=reader.take("match", str, ""),
        exit_code=reader.take("exit_code", int, 0),
        output=reader.take("output", str, ""),
        seconds=reader.take("seconds", float, 0.0),
    )
    reader.finish()
    return answer
