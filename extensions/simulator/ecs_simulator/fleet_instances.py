# SPDX-License-Identifier: GPL-3.0-or-later
"""The instances of a fleet file: what each of them is, and what its machine and the service know of it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ecs_simulator.fleet_events import EventSpec, read_event
from ecs_simulator.fleet_reader import Reader
from ecs_simulator.ids import instance_id

MACHINE_KINDS = ("auto", "namespace", "nspawn", "scripted")
LOCKS = ("none", "security", "financial")
_INSTANCE_ID = re.compile(r"i-[a-z0-9]{8,30}")
# Text in which {n} may stand, also with a width; doubled braces are braces.
_NUMBERED = re.compile(r"([^{}]|\{\{|\}\}|\{n(:\d{1,2}d?)?\})*")
# What a managed instance does not have, and nothing would ever show.
_OF_ECS = ("status", "image_id", "instance_type", "vpc_id", "lock", "deletion_protection", "events")
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
    security: bool = False
    """``dnf --security`` installs it."""


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


IMAGE = InstanceSpec(id="", name="", region_id="", zone_id="")
"""What an instance is like before it has a name and a place."""


def read_instances(reader: Reader, seed: int, region_id: str) -> Iterator[InstanceSpec]:
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
    if managed:
        for key, value in {"status": status, **service}.items():
            if key in _OF_ECS and value != getattr(InstanceSpec, key):
                reader.fail(key, "is that of an ECS instance: a managed instance has none")
    if not _NUMBERED.fullmatch(name):
        reader.fail("name", f"may only hold {{n}} or {{n:02d}} in braces, unlike {name!r}")
    if count > 1 and name.format(n=1) == name.format(n=2):
        reader.fail("name", f"must hold {{n}} or {{n:02d}}, which counts: {count} instances cannot share {name!r}")
    for number in range(1, count + 1):
        full_name = name.format(n=number)
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
    machine = side["machine"]
    if side["os"] == "windows" and machine in ("namespace", "nspawn"):
        reader.fail("machine", "must be scripted for a Windows instance")
    if side["answers"] and machine in ("namespace", "nspawn"):
        article = "an" if machine == "nspawn" else "a"
        reader.fail("answers", f"are those of a scripted machine: on {article} {machine} machine commands really run")
    if side["updates"] and machine == "nspawn":
        reader.fail("updates", "are those of a stand-in package manager: an nspawn machine has real ones")
    if side["updates"] and not side["dnf"]:
        reader.fail("updates", "need the stand-in package manager: leave dnf out")
    for package, times in Counter(update.name for update in side["updates"]).items():
        if times > 1:
            reader.fail("updates", f"name {package} {times} times: a package has one update")
    if side["os"] == "windows":
        side["machine"] = "scripted"
    return side


def read_image(reader: Reader) -> InstanceSpec:
    """An entry of ``images``: what an instance that is made of it while the simulator runs is like."""
    id_ = reader.take("id", str)
    image = replace(IMAGE, image_id=id_, **_machine_side(reader))
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
        security=reader.take("security", bool, False),
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
