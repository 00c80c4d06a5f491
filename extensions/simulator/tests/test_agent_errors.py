# SPDX-License-Identifier: GPL-3.0-or-later
"""The words in which the agent says that it cannot run a task, and what the API makes of them."""

import errno

import pytest
from ecs_simulator.agent.errors import Failed, Invalid, errno_phrase, explain
from ecs_simulator.cloud.invalid_codes import invalid_code
from ecs_simulator.machines.base import CannotStart, MachineError, NoHome, NoSuchFolder, NoSuchUser, ScriptExists
from ecs_simulator.machines.executor import look_up
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("number", "phrase"),
    [
        (errno.EPERM, "OperationNotPermitted"),
        (errno.ENOENT, "NoSuchFileOrDirectory"),
        (errno.EIO, "InputOutputError"),
        (errno.E2BIG, "ArgumentListTooLong"),
        (errno.ENOEXEC, "ExecFormatError"),
        (errno.EACCES, "PermissionDenied"),
        (errno.ENOTTY, "InappropriateIoctlForDevice"),
        (errno.ENOSPC, "NoSpaceLeftOnDevice"),
        (errno.EROFS, "ReadOnlyFileSystem"),
        (errno.ENOCSI, "NoCsiStructureAvailable"),
        (errno.EREMOTEIO, "RemoteIOError"),
        (errno.ELIBSCN, "LibSectionInAoutCorrupted"),
        (errno.ETOOMANYREFS, "TooManyReferencesCannotSplice"),
        (errno.ENOTNAM, "NotAXenixNamedTypeFile"),
        (errno.ERFKILL, "OperationNotPossibleDueToRfKill"),
    ],
)
def test_an_errno_has_a_phrase(number: int, phrase: str) -> None:
    assert errno_phrase(number) == phrase


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoSuchUser("app: exit status 1"), Invalid("UsernameOrPasswordInvalid", "UserInvalid_app: exit status 1")),
        (NoSuchFolder("x"), Invalid("workingDirectory", "WorkingDirectoryNotExist: <nil>")),
        (NoHome("x"), Invalid("workingDirectory", "DefaultWorkingDirectoryNotAvailable: <nil>")),
        (
            ScriptExists("/work/t-1.sh"),
            Failed("ScriptFileExisted", "ScriptFileExisted: Saving script to /work/t-1.sh failed: script file existed"),
        ),
        (
            CannotStart("/bin/sh", errno.EACCES),
            Failed(
                "ExecuteScriptFailed.PermissionDenied",
                "ExecuteScriptFailed.PermissionDenied: fork/exec /bin/sh: permission denied",
            ),
        ),
        (
            CannotStart("sh", None),
            Failed(
                "SystemDefaultShellNotFound",
                'SystemDefaultShellNotFound: exec: "sh": executable file not found in $PATH',
            ),
        ),
        (MachineError("it broke"), Failed("ExecuteScriptFailed", "ExecuteScriptFailed: it broke")),
    ],
)
def test_what_the_agent_says(error: MachineError, said: Invalid | Failed) -> None:
    assert explain(error) == said


@given(st.text())
def test_a_description_has_255_bytes_at_most(path: str) -> None:
    said = explain(ScriptExists(path.encode("utf-8", "replace").decode()))
    assert isinstance(said, Failed)
    assert len(said.description.encode()) <= 255


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("workingDirectory", "WorkingDirectoryNotExist: <nil>", "DirectoryNotExists"),
        (
            "workingDirectory",
            "DefaultWorkingDirectoryNotAvailable: <nil>",
            "DefaultWorkingDirectoryNotAvailable",
        ),
        ("UsernameOrPasswordInvalid", "UserInvalid_app: exit status 1", "AccountNotExists"),
        ("UsernameOrPasswordInvalid", "UsernameOrPasswordInvalid_app: wrong", "UserOrPasswordInvalid"),
        ("InvalidEnvironmentParameter", "The environment parameter X is invalid", "InvalidSystemBuiltInParameter"),
        ("CommandContentInvalid", "illegal base64 data at input byte 0", "CommandContentDecodeError"),
        ("TypeInvalid", "TypeInvalid_RunPerlScript", "CommandNotApplicable"),
        ("ContainerConnectFailed", "containerId: Failed to connect", "ContainerConnectFailed"),
    ],
)
def test_the_code_that_the_api_has_for_it(parameter: str, value: str, code: str) -> None:
    assert invalid_code(parameter, value) == code


def test_only_what_may_run_is_looked_up() -> None:
    assert look_up("sh", "/nowhere:/etc:/bin") == "/bin/sh"
    assert look_up("passwd", "/etc") is None
