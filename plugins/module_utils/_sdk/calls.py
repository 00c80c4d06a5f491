# SPDX-License-Identifier: GPL-3.0-or-later
# This file is private to the collection.
"""How a request is sent: typed errors in words, retries inside, all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .._waiting import Clock, RealClock
from . import imports, retry
from .client import Connection, address_of, make_client
from .connection_errors import trouble_of
from .errors import ApiError, NoAnswer, NoCredentials


class Calls:
    """What the calls of every family share: a client of one region, and how to use it."""

    def __init__(self, connection: Connection, clock: Clock | None = None) -> None:
        self.region_id = connection.region_id
        self._clock = clock or RealClock()
        self._client = make_client(connection)
        self._reached = False
        """The API has answered: what looks lasting at the first contact is then an outage that passes."""

    def _attempted(self, action: str, instance_ids: Sequence[str]) -> str:
        what = instance_ids[0] if len(instance_ids) == 1 else f"{len(instance_ids)} instances"
        return f"{action} on {what} in {self.region_id}"

    def _read(self, action: str, call: Callable[..., Any], request: Any) -> dict[str, Any]:
        return self._call(f"{action} in {self.region_id}", call, request, harmless=True, reads=True)

    def _pages(
        self, action: str, call: Callable[..., Any], request: Any, *, within: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The bodies of all pages, or what stands ``within`` them, token included."""
        while True:
            body = self._read(action, call, request)
            page = (body.get(within) or {}) if within else body
            yield page
            request.next_token = page.get("NextToken")
            if not request.next_token:
                return

    def _call(
        self,
        attempted: str,
        call: Callable[..., Any],
        request: Any,
        *,
        harmless: bool,
        reads: bool = False,
        total_s: float = retry.TOTAL_S,
    ) -> dict[str, Any]:
        """Send a request, again where that is safe; returns the answer's body as the API wrote it."""

        def send() -> dict[str, Any]:
            try:
                body: dict[str, Any] = call(request, imports.RuntimeOptions(autoretry=False)).body.to_map()
            except imports.AlibabaCloudException as error:
                self._reached = True
                raise _api_error(attempted, error) from None
            except imports.CredentialException:
                raise NoCredentials(f"{attempted}: the credentials ran out and could not be renewed.") from None
            except Exception as error:
                trouble = trouble_of(f"{type(error).__name__} {error}")
                raise NoAnswer(
                    attempted,
                    trouble.reason,
                    sent=trouble.sent,
                    reads=reads,
                    lasting=trouble.lasting and not self._reached,
                    address=address_of(self._client),
                    advice=trouble.advice,
                ) from None
            self._reached = True
            return body

        return retry.repeat(send, harmless=harmless, clock=self._clock, total_s=total_s)


def _api_error(attempted: str, error: Any) -> ApiError:
    return ApiError(
        attempted,
        code=error.code or "Unknown",
        message=error.message or "the API gave no reason",
        request_id=error.request_id if error.request_id not in (None, "None") else "none",
        status=error.status_code or 0,
        # The SDK hands on the header x-acs-retry-after, in milliseconds.
        retry_after_s=error.retry_after / 1000 if getattr(error, "retry_after", None) else None,
    )


def tags_of(tag: Callable[..., Any], tags: Mapping[str, str] | None) -> list[Any]:
    """Tags as a request of the SDK takes them, each request with a class of its own."""
    return [tag(key=key, value=value) for key, value in (tags or {}).items()]


def rows_of(body: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    """The rows of an answer, however deep in it; none where the API left them out."""
    value: Any = body
    for name in path:
        value = (value or {}).get(name)
    return value or []
