# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest fixture, in a pytest of its own."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def fleet(name):
    return {"regions": {"cn-hangzhou": {"instances": [{"name": name, "machine": "scripted"}]}}}

@pytest.fixture
def ecs_fleet():
    return fleet("of-fixture")

def names(simulator):
    body = simulator.client().describe_instances(__import__(
        "alibabacloud_ecs20140526.models", fromlist=["x"]).DescribeInstancesRequest(region_id="cn-hangzhou")).body
    return [row.instance_name for row in body.instances.instance]

def test_of_fixture(ecs_simulator):
    assert names(ecs_simulator) == ["of-fixture"]
    assert [line["action"] for line in ecs_simulator.audit("api")] == ["DescribeInstances"]

@pytest.mark.ecs_fleet(fleet("of-marker"))
def test_of_marker(ecs_simulator):
    assert names(ecs_simulator) == ["of-marker"]

@pytest.mark.ecs_fleet("fleet.yml")
def test_of_file(ecs_simulator):
    assert names(ecs_simulator) == ["of-file"]

@pytest.mark.parametrize("ecs_simulator", [fleet("one"), fleet("two")], indirect=True)
def test_of_parameters(ecs_simulator, request):
    assert names(ecs_simulator) == [request.node.callspec.params["ecs_simulator"]["regions"]["cn-hangzhou"]
                                    ["instances"][0]["name"]]
"""


@pytest.mark.parametrize("more", [[], ["-n", "2"]])
def test_each_test_has_the_fleet_that_it_asks_for(pytester: pytest.Pytester, more: list[str]) -> None:
    pytester.makepyfile(TESTS)
    text = "{access_keys: [{id: a, secret: b}], regions: {cn-hangzhou: {instances: INSTANCES}}}"
    pytester.path.joinpath("fleet.yml").write_text(
        text.replace("INSTANCES", "[{name: of-file, machine: scripted}]"), encoding="utf-8"
    )
    done = pytester.runpytest_subprocess("--strict-markers", "-p", "no:cacheprovider", *more)
    done.assert_outcomes(passed=5)


def test_there_is_a_fleet_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test(ecs_simulator):\n    assert ecs_simulator.instance_id('web-1') != ecs_simulator.instance_id('web-2')"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
