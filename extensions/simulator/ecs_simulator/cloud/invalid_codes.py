# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ErrorCode of the API stands for what an agent calls invalid.

The codes are those of Alibaba's API reference (ErrorCode of DescribeInvocations). That they belong together is
concluded from their names; the agent's own words stay in ErrorInfo.
"""

_BY_PARAMETER = {
    "TypeInvalid": "CommandNotApplicable",
    "CommandContentInvalid": "CommandContentDecodeError",
    "InvalidEnvironmentParameter": "InvalidSystemBuiltInParameter",
}
_BY_VALUE = {
    "WorkingDirectoryNotExist": "DirectoryNotExists",
    "DefaultWorkingDirectoryNotAvailable": "DefaultWorkingDirectoryNotAvailable",
    "UserInvalid": "AccountNotExists",
    "UsernameOrPasswordInvalid": "UserOrPasswordInvalid",
}


def invalid_code(parameter: str, value: str) -> str:
    """The ErrorCode; what has none keeps the agent's name of the parameter."""
    for word, code in _BY_VALUE.items():
        if value.startswith((f"{word}:", f"{word}_")):
            return code
    return _BY_PARAMETER.get(parameter, parameter)
