# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: ``ecs-simulator serve``, ``run``, ``inventory`` and ``rootfs``."""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ecs_simulator import __version__
from ecs_simulator.errors import FleetError, SimulatorError
from ecs_simulator.fleet import CLOCKS, MAXIMUM_SPEED, Fleet, load_fleet
from ecs_simulator.fleet_instances import MACHINE_KINDS
from ecs_simulator.inventory import inventory
from ecs_simulator.machines.nspawn import rootfs
from ecs_simulator.signals import StopSignals, cancel_on_stop_signal, end_with_parent
from ecs_simulator.simulator import Endpoint, Simulator

# Variables that would give a command other credentials than the simulator's, or send its traffic elsewhere.
_FOREIGN = (
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "ALIBABA_CLOUD_PROFILE",
    "ALIBABA_CLOUD_ROLE_ARN",
    "ALIBABA_CLOUD_CREDENTIALS_URI",
    "http_proxy",
    "HTTP_PROXY",
)
_FOREIGN_TO_HTTPS = ("https_proxy", "HTTPS_PROXY")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb == "run" and not options.command:
        parser.error("run needs a command after --, such as: ecs-simulator run --fleet fleet.yml -- ansible-playbook …")
    try:
        status: int = options.act(options)
        return status
    except (FleetError, SimulatorError) as error:
        print(f"ecs-simulator: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ecs-simulator",
        description="A local stand-in for Alibaba Cloud ECS and Cloud Assistant that runs real scripts on "
        "throw-away machines.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="serve|run|inventory|rootfs")
    fleet = argparse.ArgumentParser(add_help=False)
    fleet.add_argument(
        "--fleet", metavar="FILE", type=Path, required=True, help="fleet file (YAML): regions, instances, access keys"
    )
    common = argparse.ArgumentParser(add_help=False, parents=[fleet])
    common.add_argument(
        "--audit-log", metavar="FILE", type=Path, help="append every request and machine event here, as JSON lines"
    )
    common.add_argument(
        "--state-dir", metavar="DIR", type=Path, help="keep the machines' files here; otherwise they go at the end"
    )
    common.add_argument("--machine", choices=MACHINE_KINDS, help="kind of every Linux machine, whatever the fleet says")
    common.add_argument(
        "--rootfs",
        metavar="DIR",
        type=Path,
        help=f"what nspawn machines are made of, see the verb rootfs (default: ${rootfs.VARIABLE})",
    )
    common.add_argument("--tls", action="store_true", help="serve HTTPS, with a certificate made for this start")
    time = common.add_mutually_exclusive_group()
    time.add_argument("--clock", choices=CLOCKS, help="virtual: time stands still until a request moves it")
    time.add_argument("--speed", type=_speed, metavar="N", help="let fleet time run N times as fast as real time")
    serve = verbs.add_parser("serve", parents=[common], help="serve until stopped")
    serve.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:0",
        type=_address,
        help="where; port 0 is any free one (default: %(default)s)",
    )
    serve.add_argument("--ready-file", metavar="FILE", type=Path, help="written, as JSON, once it serves")
    serve.set_defaults(act=lambda options: _interruptible(_serve, options))
    run = verbs.add_parser("run", parents=[common], help="serve while a command runs, and exit with its status")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="gets ALIBABA_CLOUD_* variables")
    run.set_defaults(act=lambda options: _interruptible(_run, options))
    root = verbs.add_parser("rootfs", help="make what nspawn machines are made of, a Debian; takes minutes and root")
    root.add_argument(
        "folder", metavar="DIR", type=Path, help="where; a rootfs that is there and current is left alone"
    )
    root.set_defaults(act=_rootfs)
    ids = verbs.add_parser("inventory", parents=[fleet], help="print an Ansible inventory with the instance ids")
    ids.set_defaults(act=_inventory)
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not host:port")
    return host or "127.0.0.1", int(port)


def _speed(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (speed := float(text)) <= MAXIMUM_SPEED:
            return speed
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and at most {MAXIMUM_SPEED:.0f}")


def _fleet(options: argparse.Namespace) -> Fleet:
    """The fleet of the file, on the clock that the command line asks for."""
    fleet = load_fleet(options.fleet)
    if options.clock or options.speed:
        fleet = replace(fleet, clock=options.clock or "real", speed=options.speed or 1.0)
    return fleet


def _rootfs(options: argparse.Namespace) -> int:
    if not rootfs.is_current(options.folder):
        rootfs.build(options.folder)
    return 0


def _inventory(options: argparse.Namespace) -> int:
    print(inventory(load_fleet(options.fleet)), end="")
    return 0


def _interruptible(
    work: Callable[[argparse.Namespace, StopSignals], Coroutine[Any, Any, int]], options: argparse.Namespace
) -> int:
    return asyncio.run(cancel_on_stop_signal(lambda signals: work(options, signals)))


async def _serve(options: argparse.Namespace, signals: StopSignals) -> int:
    # One of a simulator that was killed says nothing about this one.
    _remove_ready_file(options)

    async def until_stopped(endpoint: Endpoint) -> int:
        stopped = asyncio.Event()
        signals.act = lambda number: stopped.set()
        if options.ready_file:
            _write_ready_file(options.ready_file, endpoint)
        print(f"ecs-simulator: serving {endpoint.ecs_endpoint}, stop with Ctrl-C", file=sys.stderr, flush=True)
        try:
            await stopped.wait()
        finally:
            _remove_ready_file(options)
        return 0

    host, port = options.listen
    return await _while_serving(options, host, port, until_stopped)


def _remove_ready_file(options: argparse.Namespace) -> None:
    if options.ready_file:
        with contextlib.suppress(OSError):
            options.ready_file.unlink()


def _write_ready_file(path: Path, endpoint: Endpoint) -> None:
    """In one step: whoever waits for the file finds it whole."""
    temporary = path.with_name(path.name + ".new")
    ready = {key: value for key, value in asdict(endpoint).items() if value} | {"pid": os.getpid()}
    try:
        temporary.write_text(json.dumps(ready, indent=2) + "\n", encoding="utf-8")
        temporary.chmod(0o600)
        temporary.rename(path)
    except OSError as error:
        raise SimulatorError(f"cannot write the ready file {path}: {error.strerror}") from error


async def _run(options: argparse.Namespace, signals: StopSignals) -> int:
    command = options.command[1:] if options.command[0] == "--" else options.command

    async def until_done(endpoint: Endpoint) -> int:
        foreign = _FOREIGN + (_FOREIGN_TO_HTTPS if endpoint.ca_file else ())
        environment = {name: value for name, value in os.environ.items() if name not in foreign}
        # Nothing asks the metadata server for credentials by mistake.
        environment |= endpoint.environment() | {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
        early: list[signal.Signals] = []
        signals.act = early.append
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, preexec_fn=end_with_parent(os.getpid())
            )
        except OSError as error:
            raise SimulatorError(f"cannot run {command[0]}: {error.strerror}") from error
        signals.act = lambda number: _pass_on(process, number)
        for number in early:
            _pass_on(process, number)
        status = await process.wait()
        return status if status >= 0 else 128 - status

    return await _while_serving(options, "127.0.0.1", 0, until_done)


def _pass_on(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Give the command a signal that we got. A terminal has sent it Ctrl-C itself."""
    if number is not signal.SIGINT:
        with contextlib.suppress(ProcessLookupError):  # it has ended just now
            process.send_signal(number)


async def _while_serving(
    options: argparse.Namespace, host: str, port: int, work: Callable[[Endpoint], Awaitable[int]]
) -> int:
    simulator = Simulator(
        _fleet(options),
        state_dir=options.state_dir,
        audit_log=options.audit_log,
        machine=options.machine,
        tls=options.tls,
        rootfs=options.rootfs,
    )
    try:
        return await work(await simulator.start(host, port))
    finally:
        await simulator.close()
