# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""Alibaba's SDK, imported once and guarded: without it the collection still loads and can say what is missing."""

from __future__ import annotations

import logging
import sys

from .errors import MissingSdk

try:
    from alibabacloud_credentials.client import Client as CredentialClient
    from alibabacloud_credentials.exceptions import CredentialException
    from alibabacloud_credentials.provider import (
        CLIProfileCredentialsProvider,
        DefaultCredentialsProvider,
        RamRoleArnCredentialsProvider,
        StaticAKCredentialsProvider,
        StaticSTSCredentialsProvider,
    )
    from alibabacloud_ecs20140526 import models
    from alibabacloud_ecs20140526.client import Client as EcsClient
    from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
    from alibabacloud_tea_openapi.utils_models import Config
    from darabonba.runtime import RuntimeOptions

    MISSING: ImportError | None = None
except ImportError as error:
    MISSING = error

# With DEBUG=sdk in the environment the SDK logs whole requests: keys, tokens and scripts.
logging.getLogger("darabonba-core").disabled = True

__all__ = [
    "AlibabaCloudException",
    "CLIProfileCredentialsProvider",
    "Config",
    "CredentialClient",
    "CredentialException",
    "DefaultCredentialsProvider",
    "EcsClient",
    "RamRoleArnCredentialsProvider",
    "RuntimeOptions",
    "StaticAKCredentialsProvider",
    "StaticSTSCredentialsProvider",
    "models",
    "require_sdk",
]


def require_sdk() -> None:
    """Raise :class:`MissingSdk` with the command that installs what is missing for this very Python."""
    if MISSING is not None:
        raise MissingSdk(
            f"Alibaba Cloud's SDK is not installed for {sys.executable} ({MISSING}). Install it with: "
            f"{sys.executable} -m pip install alibabacloud_ecs20140526 alibabacloud_tea_openapi"
        )
