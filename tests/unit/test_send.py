# SPDX-License-Identifier: GPL-3.0-or-later
"""Sending files: in the script where it fits, else in parts, and only where it is needed."""

from __future__ import annotations

import gzip
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.placing import File
from ansible_collections.cloudops.alibaba.plugins.module_utils._cloud_assistant.send import send_file
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.errors import BadInput
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.shapes import TaskRow
from ansible_collections.cloudops.alibaba.tests.unit.fakes import (
    FakeApi,
    FakeClock,
    Lines,
    agent,
    api_error,
    instance,
    task,
)

# What does not compress: 300 KB are 13 parts.
LARGE = File("/opt/large", random.Random(1).randbytes(300_000))
SMALL = File("/etc/motd", b"hello\n")


class Hosts(FakeApi):
    """Hosts that do what the scripts say, in their own way: those in ``has`` have the file."""

    def answer(self, invoke_id: str, instance_id: str, script: str) -> TaskRow:
        has: set[str] = self.__dict__.setdefault("has", set())
        if instance_id in has:
            return self.tell(invoke_id, instance_id, "file: same")
        if stage := re.search(r"^fetch\(\) \{ cat \"(.*)\"/part", script, re.MULTILINE):
            names = sorted(name for name in self.files.get(instance_id, {}) if name.startswith(stage[1]))
            payload = b"".join(self.files[instance_id][name] for name in names)
            if gzip.decompress(payload) != LARGE.content:
                return self.tell(invoke_id, instance_id, "trouble: Only 0 of its 13 parts arrived.", exit_code=1)
        elif "fetch()" not in script:
            return self.tell(invoke_id, instance_id, "file: differs")
        has.add(instance_id)
        return self.tell(invoke_id, instance_id, "file: changed")

    def tell(self, invoke_id: str, instance_id: str, words: str, exit_code: int = 0) -> TaskRow:
        output = f"cloudops.alibaba {words}\n".encode()
        status = "Failed" if exit_code else "Success"
        return task(invoke_id, instance_id, status=status, exit_code=exit_code, output=output)


def hosts(*ids: str, has: Sequence[str] = ()) -> Hosts:
    api = Hosts.of(FakeClock(), *ids)
    api.run = api.answer
    api.__dict__["has"] = set(has)
    return api


def send(api: FakeApi, file: File, *, dry: bool = False, fail: bool = True, timeout_s: int = 600) -> dict[str, Any]:
    return send_file(
        lambda: api,
        file,
        list(api.instances),
        timeout_s=timeout_s,
        dry=dry,
        fail=fail,
        clock=api.clock,
        progress=Lines(api.clock),
    )


def test_a_small_file_is_one_command() -> None:
    api = hosts("i-1", "i-2", has=["i-2"])
    result = send(api, SMALL)
    assert {key: row["changed"] for key, row in result["instances"].items()} == {"i-1": True, "i-2": False}
    assert (result["changed"], len(api.called("run_command")), api.called("send_file")) == (True, 1, [])
    assert send(api, SMALL)["changed"] is False


def test_a_large_file_goes_in_parts_to_those_that_need_it() -> None:
    ids = [f"i-{number}" for number in range(120)]
    api = hosts(*ids, has=ids[100:])
    result = send(api, LARGE)
    assert sorted(result["succeeded_ids"]) == sorted(ids)
    assert [row["changed"] for row in result["instances"].values()] == [True] * 100 + [False] * 20
    assert [len(call) for call in api.called("send_file")] == [50] * 26
    assert [len(call) for call in api.called("run_command")] == [100, 20, 100]
    again = send(api, LARGE)
    assert (again["changed"], len(api.called("send_file"))) == (False, 26)


def test_check_mode_only_looks() -> None:
    for file in (SMALL, LARGE):
        api = hosts("i-1")
        result = send(api, file, dry=True)
        assert (result["changed"], result["instances"]["i-1"]["ok"], api.files) == (True, True, {})
        assert "mktemp" not in api.sent[0]["content"]


def test_one_that_cannot_get_it_keeps_the_others_from_nothing() -> None:
    api = hosts("i-1", "i-2", "i-3")
    api.agents["i-3"] = agent("i-3", online=False)
    api.refuse = lambda ids: api_error("InvalidInstance.NotFound", status=404) if "i-2" in ids and api.sent else None
    api.run_command(["i-1"], content="fetch()")
    api.__dict__["has"].clear()
    first = api.refuse
    calls: list[Any] = []

    def refuse_files(ids: Sequence[str]) -> Exception | None:
        calls.append(ids)
        return first(ids) if api.calls[-1][0] == "send_file" else None

    api.refuse = refuse_files
    result = send(api, LARGE)
    assert result["succeeded_ids"] == ["i-1"]
    assert result["instances"]["i-3"]["failure"] == "agent"
    assert "InvalidInstance.NotFound" in result["instances"]["i-2"]["error_info"]


def test_parts_that_did_not_arrive_are_explained() -> None:
    api = hosts("i-1")
    api.sent_file = lambda t, i: task(t, i, status="Failed", error_code="FileCreateFail", error_info="no space")
    keep = api.send_file

    def lose(instance_ids: Sequence[str], **what: Any) -> str:
        return keep(instance_ids, **(what | {"content": gzip.compress(b"")}))

    api.send_file = lose  # type: ignore[method-assign]
    row = send(api, LARGE)["instances"]["i-1"]
    assert row["failure"] == "input"
    assert row["error_info"].endswith("parts arrived. SendFile: Failed (FileCreateFail): no space.")


def test_what_the_host_says_is_the_reason() -> None:
    api = hosts("i-1")
    api.run = lambda t, i, c: api.tell(t, i, "trouble: Its folder /etc is not there.", exit_code=1)
    result = send(api, SMALL)
    assert result["instances"]["i-1"]["error_info"] == "Its folder /etc is not there."
    assert result["msg"].startswith("Sending the file failed on 1 of 1 instances.")


def test_no_sentence_is_about_a_script_that_the_user_has_not_written() -> None:
    api = hosts("i-1", "i-2", "i-3")
    api.instances["i-2"] = instance("i-2", os_type="windows")
    ends = {"i-1": {"exit_code": 7}, "i-3": {"exit_code": None, "error_info": "odd"}}
    api.run = lambda t, i, c: task(t, i, status="Failed", **ends[i])
    for dry in (True, False):
        with pytest.raises(
            BadInput, match="i-2: ecs_send_file puts files on instances with linux, and the instance runs"
        ):
            send(api, SMALL, dry=dry)
    assert api.sent == []
    infos = {key: row["error_info"] for key, row in send(api, SMALL, fail=False)["instances"].items()}
    assert infos == {
        "i-1": "The file could not be put in its place: exit code 7, and not a word why.",
        "i-2": "ecs_send_file puts files on instances with linux, and the instance runs windows.",
        "i-3": "Failed: odd.",
    }


def test_a_host_that_says_nothing_has_not_done_it() -> None:
    api = hosts("i-1")
    api.run = lambda t, i, c: task(t, i)
    assert send(api, SMALL)["instances"]["i-1"]["failure"] == "agent"


def test_the_time_is_for_all_of_it() -> None:
    api = hosts("i-1")
    keep = api.send_file

    def slow(instance_ids: Sequence[str], **what: Any) -> str:
        api.clock.now += 30
        return keep(instance_ids, **what)

    api.send_file = slow  # type: ignore[method-assign]
    row = send(api, LARGE, timeout_s=60)["instances"]["i-1"]
    assert (row["failure"], len(api.called("send_file")) < 13) == ("timeout", True)
    with pytest.raises(BadInput, match="timeout is 5 s"):
        send(api, SMALL, timeout_s=5)
