# SPDX-License-Identifier: GPL-3.0-or-later
"""Who calls: RAM users with their access keys, and whoever has assumed a role with a temporary key."""

import hashlib
from dataclasses import dataclass

from ecs_simulator.clock import Clock
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.fleet import Fleet
from ecs_simulator.fleet_callers import AccessKey, Role
from ecs_simulator.ids import Ids


@dataclass(frozen=True)
class Caller:
    """A RAM user; with ``role`` someone who has assumed it, until ``expires``."""

    account_id: str
    access_key_id: str
    secret: str
    allow: tuple[str, ...]
    role: str = ""
    session_name: str = ""
    security_token: str = ""
    expires: float = 0.0

    @property
    def display_name(self) -> str:
        return f"{self.role}:{self.session_name}" if self.role else self.access_key_id

    @property
    def principal_type(self) -> str:
        """As in AccessDeniedDetail."""
        return "AssumedRoleUser" if self.role else "SubUser"


class Callers:
    """The callers of an account."""

    def __init__(self, fleet: Fleet, clock: Clock, ids: Ids) -> None:
        self._account_id = fleet.account_id
        self._clock = clock
        self._ids = ids
        self._roles = {role.name: role for role in fleet.roles}
        self._callers = {key.id: _user(key, fleet.account_id) for key in fleet.access_keys}
        self._tokens: set[str] = set()

    def find(self, access_key_id: str) -> Caller | None:
        return self._callers.get(access_key_id)

    def check_token(self, caller: Caller, token: str) -> None:
        """Refuse a security token that is not this caller's, or one that is no longer good."""
        if caller.role and not token:
            raise ApiError(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        if token and token not in self._tokens:
            raise ApiError(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        if token != caller.security_token:
            raise ApiError(
                400,
                "InvalidSecurityToken.MismatchWithAccessKey",
                "Specified SecurityToken mismatch with the AccessKey.",
            )
        if caller.role and caller.expires <= self._clock.time():
            raise ApiError(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")

    def role(self, name: str) -> Role | None:
        return self._roles.get(name)

    def assume(self, role: Role, session_name: str, seconds: int) -> Caller:
        """A temporary key for a role."""
        caller = Caller(
            account_id=self._account_id,
            access_key_id=self._ids.session_key(),
            secret=self._ids.secret(),
            allow=role.allow,
            role=role.name,
            session_name=session_name,
            security_token=self._ids.security_token(),
            # Expiration has whole seconds.
            expires=float(int(self._clock.time()) + seconds),
        )
        self._callers[caller.access_key_id] = caller
        self._tokens.add(caller.security_token)
        return caller


def principal_id(*words: str) -> str:
    """The number that stands for a user or a role, the same in each start."""
    digest = hashlib.sha256("/".join(words).encode()).digest()
    return f"3{int.from_bytes(digest[:8], 'big') % 10**17:017d}"


def _user(key: AccessKey, account_id: str) -> Caller:
    return Caller(account_id, key.id, key.secret, key.allow)
