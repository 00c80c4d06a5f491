# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""From connection options to a client of Alibaba's SDK."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from . import imports
from .errors import BadInput, NoCredentials

USER_AGENT = "cloudops.alibaba"


@dataclass(frozen=True)
class Connection:
    """The shared connection options, as the doc fragment ``connection`` describes them."""

    region_id: str
    endpoint: str | None = None
    access_key_id: str | None = None
    access_key_secret: str | None = None
    security_token: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    role_session_name: str | None = None
    connect_timeout: int = 5
    read_timeout: int = 30
    http_proxy: str | None = None
    https_proxy: str | None = None
    ca_path: str | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Connection:
        """Take the connection options out of a module's or plugin's options."""
        if not options.get("region_id"):
            raise BadInput("region_id is needed: set it, or export ALIBABA_CLOUD_REGION_ID.")
        for option in ("connect_timeout", "read_timeout"):
            if options.get(option, 1) < 1:
                raise BadInput(f"{option} is {options[option]}, and the least is 1 second.")
        return cls(**{field.name: options[field.name] for field in fields(cls) if field.name in options})


def split_endpoint(endpoint: str | None) -> tuple[str | None, str]:
    """The host (with port) and protocol of an endpoint; a host alone is reached by HTTPS."""
    if not endpoint:
        return None, "https"
    if "//" not in endpoint:
        endpoint = f"https://{endpoint}"
    parts = urlsplit(endpoint)
    address = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?", parts.netloc)
    fits = address and int(address[1] or 443) <= 65535
    if parts.scheme not in ("http", "https") or not fits or parts.path.strip("/") or parts.query:
        raise BadInput(f"endpoint must be a host or an http(s) URL without a path, not {endpoint!r}.")
    return parts.netloc, parts.scheme


def make_client(connection: Connection) -> Any:
    """A client of the ECS SDK for a connection; raises :class:`NoCredentials` when there are none."""
    imports.require_sdk()
    host, protocol = split_endpoint(connection.endpoint)
    if host:
        _honour_no_proxy(host)
    config = imports.Config(
        credential=_credential(connection),
        region_id=connection.region_id,
        endpoint=host,
        protocol=protocol,
        connect_timeout=connection.connect_timeout * 1000,
        read_timeout=connection.read_timeout * 1000,
        http_proxy=connection.http_proxy,
        https_proxy=connection.https_proxy,
        ca=connection.ca_path,
        user_agent=USER_AGENT,
    )
    return imports.EcsClient(config)


def address_of(client: Any) -> str:
    """The host and port that a client sends to; without an endpoint, the SDK has made the host of the region."""
    parts = urlsplit(f"{client._protocol}://{client._endpoint}")
    return parts.netloc if parts.port else f"{parts.netloc}:{80 if parts.scheme == 'http' else 443}"


def _credential(connection: Connection) -> Any:
    """The credentials to use, checked by asking for them once."""
    provider = _provider(connection)
    if connection.role_arn:
        provider = imports.RamRoleArnCredentialsProvider(
            credentials_provider=provider,
            role_arn=connection.role_arn,
            role_session_name=connection.role_session_name or USER_AGENT,
        )
    try:
        provider.get_credentials()
    except imports.CredentialException as error:
        raise NoCredentials(_explain(str(error), connection)) from None
    return imports.CredentialClient(provider=provider)


def _provider(connection: Connection) -> Any:
    if connection.access_key_id and connection.access_key_secret:
        if connection.security_token:
            return imports.StaticSTSCredentialsProvider(
                access_key_id=connection.access_key_id,
                access_key_secret=connection.access_key_secret,
                security_token=connection.security_token,
            )
        return imports.StaticAKCredentialsProvider(
            access_key_id=connection.access_key_id, access_key_secret=connection.access_key_secret
        )
    if connection.profile:
        return imports.CLIProfileCredentialsProvider(profile_name=connection.profile)
    return imports.DefaultCredentialsProvider()


def _explain(error: str, connection: Connection) -> str:
    """One line that names where credentials were looked for; never what was found there."""
    what_to_do = (
        "Set access_key_id and access_key_secret, name a profile of the aliyun command, or export "
        "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET."
    )
    if connection.role_arn:
        return f"Cannot assume the role {connection.role_arn}. Check the role and the credentials that assume it."
    if connection.profile:
        return f"The profile {connection.profile!r} of the aliyun command gives no credentials. {what_to_do}"
    tried = re.findall(r"(\w+)CredentialsProvider:", error)
    return f"No credentials found; tried {', '.join(tried) or 'the default chain'}. {what_to_do}"


def _honour_no_proxy(host: str) -> None:
    """The SDK ignores NO_PROXY; for a host that it excludes, take the proxies out of this process's environment."""
    name = host.rsplit(":", 1)[0].strip("[]").lower()
    excluded = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").replace(" ", "").lower().split(",")
    if "*" in excluded or any(
        entry and (name == entry or name.endswith("." + entry.lstrip("."))) for entry in excluded
    ):
        for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            os.environ.pop(variable, None)
