# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet file: which regions, instances and access keys the simulated cloud has.

The file is YAML. An unknown key is an error that names the nearest known one, because a key that is silently
ignored makes a rehearsal prove the wrong thing.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from ecs_simulator.errors import FleetError
from ecs_simulator.fleet_callers import AccessKey, Role, Throttle, access_key, role, throttling
from ecs_simulator.fleet_events import EventSpec, read_event
from ecs_simulator.fleet_faults import AnyFault, fleet_fault, requested_fault
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.ids import instance_id

MACHINE_KINDS = ("auto", "namespace", "scripted")
CLOCKS = ("real", "virtual")
MAXIMUM_SPEED = 10_000.0
LOCKS = ("none", "security", "financial")
_INSTANCE_ID = re.compile(r"i-[a-z0-9]{8,30}")
_MANAGED_INSTANCE_ID = re.compile(r"mi-[a-z0-9]{8,30}")


@dataclass(frozen=True)
class Agent:
    """The Cloud Assistant Agent on an instance as it is at first boot."""

    version: str = "2.2.3.1065"
    running: bool = True
    plugins: dict[str, str] = field(default_factory=dict)
    """Names and versions."""


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
    """What a scripted machine answers to a command whose text contains ``match``, or in which ``regex`` is found."""

    match: str = ""
    regex: str = ""
    exit_code: int = 0
    output: str = ""
    seconds: float = 0.0
    times: int = 0
    """How often it is given before the next that fits takes its turn; 0: for ever."""


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
    managed: bool = False
    """A computer that is not an ECS instance and has the agent: commands reach it, power calls do not."""
    image_id: str = ""
    instance_type: str = "ecs.g7.large"
    vpc_id: str = "vpc-bp1simulator"
    resource_group_id: str = ""
    lock: str = "none"
    """Why the service refuses to do anything with the instance, as in OperationLocks."""
    deletion_protection: bool = False
    events: tuple[EventSpec, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What is unknown about the real service, as switches with a stated default."""

    guest_restart_shows_in_status: bool = False
    """Whether ``Status`` and ``StartTime`` change when an instance restarts without the API: by its guest, or because
    it lost its power."""
    interrupted_error_code: str = "InstanceRestarted"
    """The ErrorCode of a command that ran when its instance restarted."""
    agent_error_code: str = ""
    """The ErrorCode of what an agent could not start. Empty: the agent's own category, such as ScriptFileExisted."""
    agent_restart_s: float = 120.0
    """How long after the end of the agent its service starts it again (RestartSec of its unit)."""
    agent_restart_redelivers: bool = True
    """Whether what an agent left unfinished is delivered to the next one on the same boot, which then refuses what has
    a script file (ScriptFileExisted). Otherwise it is an Error, ClientRestarted."""
    report_retry_s: float = 2.0
    """How long the agent waits between the four tries of a final report."""
    unreported_timeout_s: float = 60.0
    """How long after its time is up a command that nobody reports is a Timeout."""
    heartbeat_lost_s: float = 180.0
    """After how long without a heartbeat CloudAssistantStatus is false; commands reach such an agent all the same."""
    delivery_timeout_s: float = 60.0
    """How long a command waits for an agent that is offline before it is Aborted."""
    wrong_frequency_is_refused: bool = True
    """Whether the service refuses a Frequency that is wrong (InvalidParam.Frequency). Otherwise each instance says so:
    Invalid, with a code such as BadCronExpression."""
    api_restart_runs_reboot_commands: bool = True
    """Whether NextRebootOnly and EveryReboot also count restarts through the API."""
    install_agent_s: float = 5.0
    """How long InstallCloudAssistant takes until the agent runs."""
    install_agent_needs_restart: bool = False
    """Whether the agent that InstallCloudAssistant installs runs only from the next start of the instance on."""
    command_quota: int = 500
    """How many commands a region keeps; the documentation says 500 to 50,000."""
    maximum_timeout_s: int = 86_400
    """The longest Timeout of a command that the service takes."""
    output_quota_bytes: int = 12_000
    """How much of a command's output the agent delivers."""
    history_events_default_finished: bool = False
    """Whether DescribeInstanceHistoryEvents lists finished events when it is asked for no states, as its documentation
    says, and not the pending ones, as has been seen."""
    accepted_event_s: float = 60.0
    """How long after AcceptInquiredSystemEvent the event is Executed."""
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
    faults: tuple[AnyFault, ...] = ()
    clock: str = "real"
    """``virtual``: the time stands still until a request moves it."""
    speed: float = 1.0
    """How many times as fast as the real time the real clock runs."""
    roles: tuple[Role, ...] = ()
    throttling: dict[str, Throttle] = field(default_factory=dict)
    images: tuple[InstanceSpec, ...] = ()
    default_image: InstanceSpec = InstanceSpec(id="", name="", region_id="", zone_id="")
    """What an instance of an image that the fleet file does not know is like."""

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
    keys = tuple(access_key(reader) for reader in root.readers("access_keys"))
    if not keys:
        raise FleetError("access_keys must hold at least one key, such as {id: demo, secret: demo-secret}")
    roles = tuple(role(reader) for reader in root.readers("roles"))
    limits = throttling(root.reader("throttling"))
    settings = _settings(root.reader("settings"))
    faults = root.readers("faults")
    images = tuple(_image(reader) for reader in root.readers("images"))
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


def _names(instances: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for id_, name in instances.items():
        names.setdefault(name, []).append(id_)
    return names | {id_: [id_] for id_ in instances}


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
    tags = {str(key): str(value) for key, value in reader.take("tags", dict, {}).items()}
    status = reader.choice("status", ("Running", "Stopped"), "Running")
    machine = _machine_side(reader)
    managed = reader.take("managed", bool, False)
    service = _service_side(reader)
    reader.finish()
    if count < 1:
        reader.fail("count", "must be at least 1")
    if explicit_id and count > 1:
        reader.fail("id", "names one instance: leave it out, or set count to 1")
    if explicit_id and not (_MANAGED_INSTANCE_ID if managed else _INSTANCE_ID).fullmatch(explicit_id):
        prefix = "mi-" if managed else "i-"
        reader.fail("id", f"must be {prefix} and 8 to 30 lower case letters or digits, not {explicit_id!r}")
    if managed and status != "Running":
        reader.fail("status", "is that of an ECS instance: a managed instance has none")
    for number in range(1, count + 1):
        try:
            full_name = name.format(n=number)
        except (KeyError, IndexError, ValueError):
            reader.fail("name", f"may only hold {{n}} or {{n:02d}} in braces, unlike {name!r}")
        yield InstanceSpec(
            id=explicit_id or instance_id(seed, region_id, full_name, managed=managed),
            name=full_name,
            region_id=region_id,
            zone_id=zone_id,
            tags=tags,
            status=status,
            managed=managed,
            **machine,
            **service,
        )


def _machine_side(reader: Reader) -> dict[str, Any]:
    """What the machine of an instance is and has, under the names of :class:`InstanceSpec`."""
    side = {
        "os": reader.choice("os", ("linux", "windows"), "linux"),
        "boot_s": reader.take("boot_s", float, InstanceSpec.boot_s),
        "machine": reader.choice("machine", MACHINE_KINDS, "auto"),
        "agent": _agent(reader.reader("agent")),
        "dnf": reader.take("dnf", bool, True),
        "updates": tuple(_update(update) for update in reader.readers("updates")),
        "answers": tuple(_answer(answer) for answer in reader.readers("answers")),
    }
    if side["os"] == "windows" and side["machine"] == "namespace":
        reader.fail("machine", "must be scripted for a Windows instance")
    if side["updates"] and not side["dnf"]:
        reader.fail("updates", "need the stand-in package manager: leave dnf out")
    for package, times in Counter(update.name for update in side["updates"]).items():
        if times > 1:
            reader.fail("updates", f"name {package} {times} times: a package has one update")
    if side["os"] == "windows":
        side["machine"] = "scripted"
    return side


def _image(reader: Reader) -> InstanceSpec:
    """An entry of ``images``: what an instance that is made of it while the simulator runs is like."""
    id_ = reader.take("id", str)
    image = InstanceSpec(id="", name="", region_id="", zone_id="", image_id=id_, **_machine_side(reader))
    reader.finish()
    return image


def _service_side(reader: Reader) -> dict[str, Any]:
    """What only the service knows of an instance, under the names of :class:`InstanceSpec`."""
    texts = ("image_id", "instance_type", "vpc_id", "resource_group_id")
    return {
        **{key: reader.take(key, str, getattr(InstanceSpec, key)) for key in texts},
        "lock": reader.choice("lock", LOCKS, "none"),
        "deletion_protection": reader.take("deletion_protection", bool, False),
        "events": tuple(read_event(event) for event in reader.readers("events")),
    }


def _agent(reader: Reader) -> Agent:
    default = Agent()
    version = reader.take("version", str, default.version)
    state = reader.choice("state", ("running", "stopped"), "running")
    plugins = {str(name): str(number) for name, number in reader.take("plugins", dict, {}).items()}
    reader.finish()
    return Agent(version=version, running=state == "running", plugins=plugins)


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
        regex=reader.take("regex", str, ""),
        exit_code=reader.take("exit_code", int, 0),
        output=reader.take("output", str, ""),
        seconds=reader.take("seconds", float, 0.0),
        times=reader.take("times", int, 0),
    )
    reader.finish()
    if answer.match and answer.regex:
        reader.fail("regex", "goes without match: one of the two says which commands it answers")
    try:
        re.compile(answer.regex)
    except re.error as error:
        reader.fail("regex", f"is not a regular expression: {error}")
    if answer.times < 0:
        reader.fail("times", "must be at least 0, which is for ever")
    if not 0 <= answer.seconds < float("inf"):
        reader.fail("seconds", "must be at least 0")
    return answer
