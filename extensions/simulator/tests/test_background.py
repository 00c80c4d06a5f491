# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator as a library, for programs without asyncio."""

import sys
import tempfile
from pathlib import Path

import pytest
from alibabacloud_ecs20140526 import models
from ecs_simulator.background import BackgroundSimulator
from ecs_simulator.errors import FleetError, SimulatorError
from simulator_helpers import REGION

INSTANCES = [{"name": "web-{n}", "count": 2, "machine": "scripted", "answers": [{"output": "hello\n", "seconds": 60}]}]
FLEET = {"clock": "virtual", "regions": {REGION: {"instances": INSTANCES}}}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for what is temporary."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_program_without_asyncio_has_a_cloud(temporary: Path) -> None:
    with BackgroundSimulator(FLEET) as simulator:
        web = simulator.instance_id("web-1")
        ecs = simulator.client()
        request = models.RunCommandRequest(
            region_id=REGION, type="RunShellScript", command_content="x", timeout=600, instance_id=[web]
        )
        invoke_id = ecs.run_command(request).body.invoke_id
        simulator.advance(61)
        wanted = models.DescribeInvocationResultsRequest(region_id=REGION, invoke_id=invoke_id)
        result = ecs.describe_invocation_results(wanted).body.invocation.invocation_results.invocation_result[0]
        assert result.invocation_status == "Success"
        assert [line["action"] for line in simulator.audit("api")] == ["RunCommand", "DescribeInvocationResults"]
        assert [line["exit_code"] for line in simulator.audit(event="command_end", instance_id=web)] == [0]
        assert simulator.environment()["ALIBABA_CLOUD_ECS_ENDPOINT"] == simulator.url
        assert len(simulator.audit()) > 2
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_faults_and_names_are_checked() -> None:
    with BackgroundSimulator(FLEET) as simulator:
        simulator.fault("web-2", "agent_offline")
        assert simulator.audit("fault")[0]["fault"] == "agent_offline"
        simulator.fault("web-2", "agent_killed")
        with pytest.raises(ValueError, match="has no running agent to kill"):
            simulator.fault("web-2", "agent_killed")
        with pytest.raises(FleetError, match="did you mean 'agent_killed'"):
            simulator.fault("web-2", "agent_kiled")
        with pytest.raises(FleetError, match="0 instances have the name 'wbe-1'; did you mean 'web-1'"):
            simulator.instance_id("wbe-1")


def test_requests_have_faults_too() -> None:
    with BackgroundSimulator(FLEET) as simulator:
        simulator.fault(on={"action": "DescribeRegions"}, fault="throttle", seconds=7)
        simulator.fault(on={"instance": "web-1"}, fault="power_loss")
        assert [line["fault"] for line in simulator.audit("fault")] == ["power_loss"]
        with pytest.raises(Exception, match="user flow control"):
            simulator.client().describe_regions(models.DescribeRegionsRequest())
        for wrong, sentence in [
            ({"on": {"action": "RunComand"}, "fault": "throttle"}, "did you mean 'RunCommand'"),
            ({"on": {"action": "RunCommand"}}, "fault is needed and missing"),
            ({"fault": "power_loss"}, "instance is needed and missing"),
            ({"instance": "web-1", "on": {"action": "RunCommand"}, "fault": "throttle"}, "instance is not a known key"),
        ]:
            with pytest.raises(ValueError, match=sentence):
                simulator.fault(**wrong)


def test_a_fleet_comes_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yml"
    path.write_text("{access_keys: [{id: a, secret: b}], regions: {here: {}}}", encoding="utf-8")
    with BackgroundSimulator(path, state_dir=tmp_path / "state") as simulator:
        assert (simulator.endpoint.region_id, simulator.endpoint.access_key_id) == ("here", "a")
        with pytest.raises(SimulatorError, match="this clock moves by itself"):
            simulator.advance(1)
    assert (tmp_path / "state").exists()


def test_what_keeps_it_from_starting_is_said(temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(SimulatorError, match="cannot use the state folder"),
        BackgroundSimulator(FLEET, state_dir=tmp_path / "file"),
    ):
        pass
    assert list(temporary.iterdir()) == []


def test_a_client_needs_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    with BackgroundSimulator(FLEET) as simulator:
        monkeypatch.setitem(sys.modules, "alibabacloud_ecs20140526.client", None)
        with pytest.raises(SimulatorError, match="pip install alibabacloud_ecs20140526"):
            simulator.client()


@pytest.mark.usefixtures("namespaces")
def test_scripts_really_run() -> None:
    regions = {REGION: {"instances": [{"name": "web", "machine": "namespace"}]}}
    with BackgroundSimulator({"regions": regions}) as simulator:
        assert simulator.audit(event="boot")
