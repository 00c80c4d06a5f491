# SPDX-License-Identifier: GPL-3.0-or-later
"""Placeholders in commands: ``{{name}}`` for custom parameters and ``{{ACS::RegionId}}`` for what is built in.

The service fills in custom parameters; what is built in is filled in on the instance, so also in the value of a
custom parameter, and one that does not exist makes the command Invalid there (facts of the real agent). Custom names
are letters, digits, ``-`` and ``_``, at most 20 of at most 64 bytes each, and their case does not matter (SDK docstring
of RunCommandRequest).
"""

import re
from collections.abc import Mapping

from ecs_simulator.cloud.errors import ApiError

_PLACEHOLDER = re.compile(rb"\{\{([^{}]*)\}\}")
_BUILT_IN = re.compile(rb"\s*ACS\s*::\s*([^{}|\s]*)\s*", re.IGNORECASE)
# Kept in a store of another service: the instance needs a RAM role to read it.
_STORED = re.compile(rb"\s*oos(-secret)?\s*:")
_NAME = re.compile(rb"[A-Za-z0-9_-]+")
_MAXIMUM_DEFINED = 20
_MAXIMUM_PASSED = 10
_MAXIMUM_NAME_BYTES = 64


def parameter_names(content: bytes) -> list[str]:
    """The custom parameters that a command defines, in the order of their first use; refuses what the API refuses."""
    names: dict[str, str] = {}
    for inside in _PLACEHOLDER.findall(content):
        if _BUILT_IN.fullmatch(inside) or _STORED.match(inside):
            continue
        name = inside.strip()
        if not name:
            raise ApiError(400, "CmdParam.EmptyKey", "You must specify the parameter names.")
        if not _NAME.fullmatch(name):
            raise ApiError(
                400,
                "CmdParam.InvalidParamName",
                "Invalid parameter name. The name can contain only lowercase letters (a to z), "
                "uppercase letters (A to Z), numbers (0 to 9), hyphens (-), and underscores (_).",
            )
        if len(name) > _MAXIMUM_NAME_BYTES:
            raise ApiError(403, "CmdParamName.ExceedLimit", "The maximum length of a parameter name is exceeded.")
        names.setdefault(name.decode().lower(), name.decode())
    if len(names) > _MAXIMUM_DEFINED:
        raise ApiError(403, "CmdParamCount.ExceedLimit", "The maximum number of custom parameters is exceeded.")
    return list(names.values())


def check_passed(defined: list[str], passed: Mapping[str, str]) -> None:
    """Refuse parameters that may not be passed to a command with those names."""
    if len(passed) > _MAXIMUM_PASSED:
        raise ApiError(403, "ParameterCount.ExceedLimit", "The maximum number of parameters is exceeded.")
    for name in passed:
        if not name:
            raise ApiError(400, "CmdParam.EmptyKey", "You must specify the parameter names.")
        if len(name) > _MAXIMUM_NAME_BYTES:
            raise ApiError(403, "ParameterKey.ExceedLimit", "The maximum length of a parameter name is exceeded.")
    lower = {name.lower() for name in passed}
    if len(lower) < len(passed):
        raise ApiError(403, "ParameterKey.Duplicate", "Parameter names cannot be duplicated.")
    if not lower <= {name.lower() for name in defined}:
        raise ApiError(
            403,
            "Parameter.NotMatched",
            "The passed-in parameters do not match the parameters defined when you created the command.",
        )


def fill_custom(content: bytes, passed: Mapping[str, str]) -> bytes:
    """The command with its custom parameters; what was not passed is empty."""
    values = {name.lower(): value.encode() for name, value in passed.items()}

    def value(match: re.Match[bytes]) -> bytes:
        inside = match[1]
        if _BUILT_IN.fullmatch(inside) or _STORED.match(inside):
            return match[0]
        return values.get(inside.strip().decode("utf-8", "replace").lower(), b"")

    return _PLACEHOLDER.sub(value, content)


def built_in_names(content: bytes) -> set[str]:
    """What a command wants to know of its instance and its run."""
    matches = (_BUILT_IN.fullmatch(inside) for inside in _PLACEHOLDER.findall(content))
    return {match[1].decode("utf-8", "replace") for match in matches if match}


def wants_store(content: bytes) -> bool:
    """Whether a value comes from the parameter store."""
    return any(_STORED.match(inside) for inside in _PLACEHOLDER.findall(content))


def fill_built_in(content: bytes, values: Mapping[str, str]) -> bytes:
    """The command with what is built in; all of it must be known."""

    def value(match: re.Match[bytes]) -> bytes:
        name = _BUILT_IN.fullmatch(match[1])
        return values[name[1].decode()].encode() if name else match[0]

    return _PLACEHOLDER.sub(value, content)
