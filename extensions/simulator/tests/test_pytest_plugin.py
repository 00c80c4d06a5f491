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


@pytest.mark.parametrize("arguments", ["", "()", "({}, {})", "(fleets={})"])
def test_a_marker_without_one_fleet_is_one_sentence(pytester: pytest.Pytester, arguments: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.ecs_fleet{arguments}\ndef test(ecs_simulator):\n    pass")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines("*the marker ecs_fleet needs one fleet: a mapping, or the path of a fleet file*")
    assert "Error:" not in done.stdout.str()


def test_a_marker_names_its_fleet(pytester: pytest.Pytester) -> None:
    fleet = "{'regions': {'cn-hangzhou': {'instances': [{'name': 'named', 'machine': 'scripted'}]}}}"
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.ecs_fleet(fleet={fleet})\n"
        "def test(ecs_simulator):\n    assert ecs_simulator.instance_id('named')"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_there_is_a_fleet_by_default(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "def test(ecs_simulator):\n    assert ecs_simulator.instance_id('web-1') != ecs_simulator.instance_id('web-2')"
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
