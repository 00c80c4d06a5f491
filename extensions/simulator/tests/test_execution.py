# SPDX-License-Identifier: GPL-3.0-or-later
"""How the agent runs a script: file, shell, folder, environment, user, and what it says when it cannot.

Measured on the real agent; FIDELITY.md tells which test shows what.
"""

import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ecs_simulator.machines.namespace.supervisor import FIRST_USER
from simulator_helpers import REGION, Caller, make_fleet, serving

WEB = "i-bp1testweb000000001"
SCRIPTS = "/usr/local/share/aliyun-assist/work/script"
ADD_USER = """
echo 'app:x:1000:1000::/home/app:/usr/sbin/nologin' >> /etc/passwd
printf 'app:x:1000:\\nextra:x:1001:app\\n' >> /etc/group
mkdir /home/app
"""
pytestmark = pytest.mark.usefixtures("namespaces")


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    fleet = make_fleet({"name": "web-01", "id": WEB, "boot_s": 0}, settings={"stop_grace_s": 0})
    async with serving(fleet, tmp_path, machine="namespace") as call:
        yield call


async def run(call: Caller, script: str, **more: Any) -> dict[str, Any]:
    return await call.result(await call.run(script, WEB, **more), WEB)


async def output(call: Caller, script: str, **more: Any) -> str:
    row = await run(call, script, **more)
    assert row["InvocationStatus"] == "Success", row
    text: str = row["Output"]
    return text


async def why_not(call: Caller, **more: Any) -> tuple[str, str, str]:
    """How a command ended that never began."""
    begun = len(call.events("command_start"))
    row = await run(call, "touch /root/began", **more)
    assert len(call.events("command_start")) == begun
    assert "ExitCode" not in row
    return row["InvocationStatus"], row["ErrorCode"], row["ErrorInfo"]


async def test_a_script_is_a_file_for_everybody_to_read_and_stays(call: Caller) -> None:
    row = await run(call, "stat -c '%n %a %U' $0", name="patch")
    path = f"{SCRIPTS}/patch-{row['InvokeId']}.sh"
    assert row["Output"] == f"{path} 755 root\n"
    row = await run(call, "echo $0")
    assert row["Output"] == f"{SCRIPTS}/{row['InvokeId']}.sh\n"
    assert await output(call, f"cat {path}") == "stat -c '%n %a %U' $0"


async def test_a_name_with_a_space_breaks_the_command(call: Caller) -> None:
    row = await run(call, "echo hello", name="my command")
    assert (row["InvocationStatus"], row["ExitCode"]) == ("Failed", 127)
    assert f"{SCRIPTS}/my: " in row["Output"]


@pytest.mark.parametrize("name", ["a/b", "\u540d" * 128])
async def test_a_script_whose_name_is_none_of_a_file_runs_without_one(call: Caller, name: str) -> None:
    assert await output(call, "echo $0", name=name) == "sh\n"


async def test_a_script_runs_without_a_file_when_the_disk_is_full(call: Caller) -> None:
    row = await run(call, f"rm -r {SCRIPTS}; ln -s /dev/shm {SCRIPTS}; cat /dev/zero > /dev/shm/full")
    assert "No space left on device" in row["Output"]
    assert await output(call, "echo $0") == "sh\n"


async def test_the_kernel_reads_a_scripts_first_line(call: Caller) -> None:
    assert await output(call, "#!/bin/cat\nhello\n") == "#!/bin/cat\nhello\n"
    row = await run(call, "#!/bin/sh\r\necho hello\r\n")
    assert (row["ExitCode"], "not found" in row["Output"] or "bad interpreter" in row["Output"]) == (127, True)
    # Without such a line it is sh, and the carriage return belongs to the word.
    assert await output(call, "echo hello\r\n") == "hello\r\n"


async def test_what_a_script_finds_around_itself(call: Caller) -> None:
    lines = (await run(call, "tr '\\0' '\\n' < /proc/$$/environ"))["Output"].splitlines()
    # The shell that the agent starts adds its own.
    added = ("PWD=", "OLDPWD=", "SHLVL=", "_=")
    assert sorted(line for line in lines if not line.startswith(added)) == [
        "GODEBUG=execerrdot=0",
        "HOME=/root",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]
    around = await output(call, "pwd; umask; readlink /proc/$$/fd/0; ls /proc/self/fd; tty || :")
    assert around.split("\n")[:7] == ["/root", "0022", "/dev/null", "0", "1", "2", "3"]
    assert around.endswith("not a tty\n")


async def test_output_and_errors_come_as_they_were_written(call: Caller) -> None:
    assert await output(call, "echo 1; echo 2 >&2; echo 3; echo 4 > /dev/stderr") == "1\n2\n3\n4\n"


async def test_bytes_that_are_no_text_pass_through(call: Caller) -> None:
    invoke_id = await call.run("printf '\\377\\376\\000'", WEB)
    await call.result(invoke_id, WEB)
    answer = await call("DescribeInvocationResults", region_id=REGION, invoke_id=invoke_id)
    row = answer["Invocation"]["InvocationResults"]["InvocationResult"][0]
    assert base64.b64decode(row["Output"]) == b"\xff\xfe\0"


async def test_a_script_runs_in_its_working_folder(call: Caller) -> None:
    assert await output(call, "pwd", working_dir="/var/log") == "/var/log\n"


async def test_a_working_folder_that_is_not_there_is_invalid(call: Caller) -> None:
    why = ("Invalid", "DirectoryNotExists", "WorkingDirectoryNotExist: <nil>")
    assert await why_not(call, working_dir="/nowhere") == why
    assert await why_not(call, working_dir="/etc/passwd") == why
    assert await output(call, f"ls /root; ls {SCRIPTS} | wc -l") == "1\n"


async def test_the_default_folder_may_be_missing(call: Caller) -> None:
    await run(call, "mv /root /gone")
    why = ("Invalid", "DefaultWorkingDirectoryNotAvailable", "DefaultWorkingDirectoryNotAvailable: <nil>")
    assert await why_not(call) == why
    assert await output(call, "pwd", working_dir="/") == "/\n"


async def test_a_script_runs_as_its_user_without_a_login(call: Caller) -> None:
    await run(call, ADD_USER)
    row = await run(
        call, "id; echo $0; pwd; echo $HOME; echo ${USER-none} ${LOGNAME-none} ${SHELL-none}", username="app"
    )
    who, file, *rest = row["Output"].splitlines()
    assert who.startswith("uid=1000(app) gid=1000(app) groups=1000(app)")
    assert file == f"/tmp/{row['InvokeId']}.sh"
    assert rest == ["/home/app", "/home/app", "none none none"]
    # Nobody asks whether the user may be there.
    assert await output(call, "pwd", username="app", working_dir="/root") == "/root\n"


async def test_another_user_may_not_what_root_may(call: Caller, tmp_path: Path) -> None:
    await run(call, ADD_USER)
    if len((await output(call, "cat /proc/self/uid_map")).splitlines()) == 1:
        pytest.skip("only root can have several users on a machine")
    assert "groups=1000(app),1001(extra)" in await output(call, "id", username="app")
    row = await run(call, "touch /tmp/own /root/foreign; ls -l /tmp/own", username="app")
    assert "Permission denied" in row["Output"]
    assert "app app" in row["Output"]
    # Outside it is an id that nobody has.
    assert (tmp_path / "state/machines" / WEB / "root/tmp/own").stat().st_uid == FIRST_USER + 1000
    assert await output(
        call, "chown app: /root/file 2>&1 || touch /root/file && chown app /root/file && stat -c %U /root/file"
    )


@pytest.mark.parametrize(
    ("user", "value"),
    [("stranger", "exit status 1"), ("toor", "invalid uid and gid"), ("wheel", "invalid uid and gid")],
)
async def test_a_user_that_is_not_there_or_like_root_is_invalid(call: Caller, user: str, value: str) -> None:
    await run(call, "printf 'toor:x:0:7::/root:/bin/sh\\nwheel:x:7:0::/root:/bin/sh\\n' >> /etc/passwd")
    assert await why_not(call, username=user) == ("Invalid", "AccountNotExists", f"UserInvalid_{user}: {value}")


async def test_the_service_leaves_out_the_name_of_root(call: Caller) -> None:
    row = await run(call, "id -u; echo $0", username="root")
    assert row["Output"] == f"0\n{SCRIPTS}/{row['InvokeId']}.sh\n"


async def test_a_user_without_a_home_needs_a_working_folder(call: Caller) -> None:
    await run(call, "echo 'lost:x:1000:1000::/home/lost:/bin/sh' >> /etc/passwd")
    assert (await why_not(call, username="lost"))[1] == "DefaultWorkingDirectoryNotAvailable"
    assert await output(call, "echo $HOME", username="lost", working_dir="/tmp") == "/home/lost\n"


@pytest.mark.parametrize(
    ("shell", "phrase", "cause"),
    [
        ("#!/root\\n", "PermissionDenied", "permission denied"),
        ("#!/nowhere\\n", "NoSuchFileOrDirectory", "no such file or directory"),
        ("nonsense", "ExecFormatError", "exec format error"),
    ],
)
async def test_a_shell_that_does_not_start_is_an_error(call: Caller, shell: str, phrase: str, cause: str) -> None:
    # The first sh of the PATH counts.
    await run(
        call, f"printf '{shell}' > /usr/local/sbin/.sh; chmod 755 /usr/local/sbin/.sh; cd /usr/local/sbin; mv .sh sh"
    )
    category = f"ExecuteScriptFailed.{phrase}"
    assert await why_not(call) == ("Error", category, f"{category}: fork/exec /usr/local/sbin/sh: {cause}")


async def test_a_launcher_gets_the_scripts_file(call: Caller) -> None:
    row = await run(call, "hello", launcher="cat -n")
    assert row["Output"].split() == ["1", "hello"]


async def test_a_dry_run_only_looks(call: Caller) -> None:
    row = await run(call, "touch /root/ran", repeat_mode="DryRun")
    assert (row["InvocationStatus"], row["Output"], row["StartTime"]) == ("Success", "", "")
    assert call.events("command_start") == []
    assert (await why_not(call, repeat_mode="DryRun", working_dir="/nowhere"))[1] == "DirectoryNotExists"
    assert await output(call, f"ls /root; ls {SCRIPTS} | wc -l") == "1\n"


async def test_the_code_of_an_error_is_a_setting(tmp_path: Path) -> None:
    settings = {"stop_grace_s": 0, "agent_error_code": "ExecutionException"}
    fleet = make_fleet({"name": "web-01", "id": WEB, "boot_s": 0}, settings=settings)
    async with serving(fleet, tmp_path, machine="namespace") as call:
        await run(call, "cd /usr/local/sbin; printf nonsense > new; chmod 755 new; mv new sh")
        assert (await why_not(call))[1] == "ExecutionException"


@pytest.mark.skipif(os.geteuid() != 0, reason="without root there is one user anyway")
def test_a_user_has_its_name_where_a_machine_has_one_user() -> None:
    """As in a container: root there may not map users."""
    test = f"{__file__}::test_a_script_runs_as_its_user_without_a_login"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-m", "pytest", "-q", "-n", "0", test]
    answer = subprocess.run([*command, "-p", "no:cacheprovider"], capture_output=True, text=True, check=False)
    assert "1 passed" in answer.stdout, answer.stdout
