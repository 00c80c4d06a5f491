# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""The edge between modules and the core: options in, results or one sentence of failure out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule, env_fallback
from ansible.module_utils.common.parameters import remove_values, sanitize_keys

from ._progress import Progress
from ._sdk.client import Connection
from ._sdk.ecs import Ecs
from ._sdk.errors import CloudError
from ._sources import read_source
from ._waiting import Clock, RealClock

# The doc fragment ``connection`` describes these.
CONNECTION_SPEC: dict[str, dict[str, Any]] = {
    "region_id": {"type": "str", "aliases": ["region"], "fallback": (env_fallback, ["ALIBABA_CLOUD_REGION_ID"])},
    "endpoint": {"type": "str", "fallback": (env_fallback, ["ALIBABA_CLOUD_ECS_ENDPOINT"])},
    # Not a secret, and a short one would be cut out of results.
    "access_key_id": {"type": "str", "no_log": False},
    "access_key_secret": {"type": "str", "no_log": True},
    "security_token": {"type": "str", "no_log": True},
    "profile": {"type": "str"},
    "role_arn": {"type": "str"},
    "role_session_name": {"type": "str"},
    "connect_timeout": {"type": "int", "default": 5},
    "read_timeout": {"type": "int", "default": 30},
    # They may hold a password.
    "http_proxy": {"type": "str", "no_log": True},
    "https_proxy": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
}
CONNECTION_TOGETHER = [["access_key_id", "access_key_secret"]]
CONNECTION_REQUIRED_BY = {"security_token": ["access_key_id"], "role_session_name": ["role_arn"]}
CONNECTION_EXCLUSIVE = [["access_key_id", "profile"]]

# The doc fragment ``instances`` describes these: for modules that wait, that wait for commands on instances, and that
# do something to instances.
PROGRESS_SPEC: dict[str, dict[str, Any]] = {"progress": {"type": "bool", "default": True}}
RESULTS_SPEC = {"fail_on_instance_failure": {"type": "bool", "default": True}} | PROGRESS_SPEC
INSTANCES_SPEC = {"instance_ids": {"type": "list", "elements": "str", "required": True}} | RESULTS_SPEC


@dataclass(frozen=True)
class Context:
    """What every module's core gets from its edge."""

    params: dict[str, Any]
    check_mode: bool
    clock: Clock
    progress: Progress

    def connect(self, region_id: str | None = None) -> Ecs:
        """The API of the connection's region, or of another one."""
        options = self.params | ({"region_id": region_id} if region_id else {})
        return Ecs(Connection.from_options(options), self.clock)


class Module(AnsibleModule):  # type: ignore[misc]  # Ansible's own types are not looked at
    """A module of ours: neither the system's log nor its result repeats the scripts that it was given."""

    def log(self, msg: str, log_args: Any = None) -> None:
        """Nothing: Ansible would send all arguments to syslog."""

    def exit_json(self, **result: Any) -> None:
        """Return a result, without secrets in the keys of its dictionaries either."""
        super().exit_json(**self._quiet(result))

    def fail_json(self, msg: str, **result: Any) -> None:
        """Return a failure; the same holds for it."""
        super().fail_json(msg, **self._quiet(result))

    def _quiet(self, result: dict[str, Any]) -> dict[str, Any]:
        quiet: dict[str, Any] = sanitize_keys(result, self.no_log_values)
        # In a result Ansible does not want them any more; and it does not look for secrets in them.
        for warning in quiet.pop("warnings", ()):
            self.warn(remove_values(warning, self.no_log_values))
        # With -vvv Ansible would show all arguments here.
        return quiet | {"invocation": {}}


def read_text(params: Mapping[str, Any], option: str) -> str:
    """The text of an option, or of the file that ``src`` names in its place."""
    if params.get("src"):
        return read_source(params["src"], "src")
    return str(params[option] or "")


def run_module(
    argument_spec: dict[str, dict[str, Any]], core: Callable[[Context], dict[str, Any]], **rules: Any
) -> None:
    """Read the options, run ``core`` and exit with what it returns.

    A result with the key ``failed`` fails the task and keeps everything else in it; its ``diff`` is left out unless
    somebody wants to see it, and its ``warnings`` are given to Ansible. An error of the core becomes one sentence and
    ``refused``: a core raises only as long as it has changed nothing.
    """
    module = Module(
        argument_spec=CONNECTION_SPEC | argument_spec,
        supports_check_mode=True,
        required_together=CONNECTION_TOGETHER,
        required_by=CONNECTION_REQUIRED_BY,
        mutually_exclusive=CONNECTION_EXCLUSIVE + rules.pop("mutually_exclusive", []),
        **rules,
    )
    clock = RealClock()
    progress = Progress(
        clock,
        enabled=module.params.get("progress", True),
        quiet=lambda line: str(remove_values(line, module.no_log_values)),
    )
    try:
        result = core(Context(module.params, module.check_mode, clock, progress))
    except CloudError as error:
        module.fail_json(msg=str(error), refused=True)
    if not module._diff:
        result.pop("diff", None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
