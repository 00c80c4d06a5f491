# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that becomes an error response."""

from typing import Any


class ApiError(Exception):
    """An API error: HTTP status, Alibaba's error code and message, more fields of the body and HTTP headers."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.fields = fields


def missing(parameter: str) -> ApiError:
    return ApiError(
        400, f"MissingParameter.{parameter}", f"The input parameter {parameter} that is mandatory is missing."
    )


def invalid(parameter: str, why: str = "is not valid") -> ApiError:
    return ApiError(400, f"InvalidParameter.{parameter}", f"The specified parameter {parameter} {why}.")
