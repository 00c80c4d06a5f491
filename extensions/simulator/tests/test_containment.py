# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing that a caller sends writes outside the state folder: not by a name, a path or an id, and not by a script."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from simulator_helpers import REGION, Caller, make_fleet, serving, until

WEB = "i-bp1contained00000001"
# Where what is sent below tries to write, by an absolute path or by one that climbs.
PLACES = ["/", "/dev/shm", "/etc", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp"]
CLIMB = "../" * 30
# A machine shows its own /proc, its own root, and devices that are its own.
SCRIPT = """
for place in PLACES; do
  for root in "" /proc/1/root /proc/self/root CLIMB; do
    mkdir -p "$root$place" && touch "$root$place/NAME"
  done
done 2>/dev/null
ln -s / /root/NAME-link && touch /root/NAME-link/tmp/NAME
mknod /root/NAME-disk b 254 0 2>/dev/null && echo NAME >/root/NAME-disk
exit 0
"""


def written(folder: Path, name: str) -> set[Path]:
    """What has that name and is not in the simulator's own folder."""
    found = {path for place in PLACES for path in Path(place).glob(f"*{name}*")}
    return found | {path for path in folder.rglob(f"*{name}*") if folder / "state" not in path.parents}


@pytest.fixture
async def call(namespaces: None, tmp_path: Path) -> AsyncIterator[Caller]:
    async with serving(make_fleet({"name": "web-01", "id": WEB, "boot_s": 0}), tmp_path, machine="namespace") as caller:
        yield caller


async def test_nothing_is_written_outside_the_state_folder(
    call: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"canary-{uuid.uuid4().hex}"
    await call.happened("agent_up")
    text = SCRIPT.replace("PLACES", " ".join(PLACES)).replace("CLIMB", f"/{CLIMB}").replace("NAME", name)
    run = {"type": "RunShellScript", "command_content": text, "instance_id": [WEB], "region_id": REGION, "timeout": 60}
    calls = [
        ("RunCommand", run),
        ("RunCommand", run | {"working_dir": f"/{CLIMB}tmp"}),
        ("RunCommand", run | {"working_dir": f"/tmp/{name}"}),
        ("RunCommand", run | {"username": f"{CLIMB}{name}"}),
        ("RunCommand", run | {"name": f"{CLIMB}tmp/{name}", "keep_command": True}),
        ("RunCommand", run | {"client_token": f"{CLIMB}tmp/{name}"}),
        ("CreateCommand", {k: v for k, v in run.items() if k != "instance_id"} | {"name": f"/tmp/{name}"}),
        ("DescribeInvocations", {"region_id": REGION, "invoke_id": f"{CLIMB}tmp/{name}"}),
        ("TagResources", {"region_id": REGION, "resource_type": "instance", "resource_id": [f"{CLIMB}tmp/{name}"]}),
        ("RunInstances", {"region_id": REGION, "instance_name": f"{CLIMB}tmp/{name}", "amount": 1}),
        ("CreateActivation", {"region_id": REGION, "instance_name": f"{CLIMB}tmp/{name}"}),
    ]
    for directory in (*PLACES, f"/{CLIMB}tmp", f"/tmp/{name}/a/b", f"/proc/1/root/tmp/{name}"):
        for file in (name, f"{CLIMB}tmp/{name}"):
            sent = {"region_id": REGION, "instance_id": [WEB], "content": "x", "target_dir": directory, "name": file}
            calls.append(("SendFile", sent))
    taken = []
    for action, parameters in calls:
        with contextlib.suppress(AlibabaCloudException):
            taken.append(await call(action, **parameters))
    async with aiohttp.ClientSession() as session:
        for path in (f"/{CLIMB}tmp/{name}", f"/_simulator/..%2f..%2ftmp%2f{name}", f"/_simulator/faults?{name}=1"):
            for method in ("GET", "POST", "PUT", "DELETE"):
                await session.request(method, call.url + path, data=json.dumps({"instance": f"{CLIMB}{name}"}))
    invoke_ids = [answer["InvokeId"] for answer in taken if str(answer.get("InvokeId", "")).startswith("t-")]
    assert invoke_ids and len(taken) > len(PLACES)
    for invoke_id in invoke_ids:
        await call.result(invoke_id, WEB)

    async def all_sent() -> bool:
        answer = await call("DescribeSendFileResults", region_id=REGION, page_size=50)
        rows = [row for one in answer["Invocations"]["Invocation"] for row in one["InvokeInstances"]["InvokeInstance"]]
        return bool(rows) and all(row["FinishTime"] for row in rows)

    await until(all_sent)
    # The scripts have written, so that the names can be found at all.
    inside = await asyncio.to_thread(lambda: list((tmp_path / "state").rglob(f"*{name}*")))
    assert len(inside) > 5
    assert written(tmp_path, name) == set()


def test_what_is_written_outside_is_found(tmp_path: Path) -> None:
    name = f"canary-{uuid.uuid4().hex}"
    inside, outside = tmp_path / "state" / name, tmp_path / f"{name}.txt"
    inside.parent.mkdir()
    inside.touch()
    outside.touch()
    shared = Path("/dev/shm", name)
    shared.touch()
    try:
        assert written(tmp_path, name) == {outside, shared}
    finally:
        shared.unlink()
