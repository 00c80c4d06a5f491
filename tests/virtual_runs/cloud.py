# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator's cloud on its virtual clock, in this very process, and the API as a controller reaches it.

Either way of reaching it uses the collection's own calls, retries and shapes, and the SDK's requests. `direct` hands a
request to the function that serves its action: a tenth of a millisecond. Over HTTP it is the whole SDK, signatures and
all.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

from alibabacloud_tea_openapi.utils import Utils
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk import imports
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.client import Connection
from ansible_collections.cloudops.alibaba.plugins.module_utils._sdk.ecs import Ecs
from ansible_collections.cloudops.alibaba.plugins.module_utils._waiting import Clock
from ecs_simulator.api.actions import ACTIONS
from ecs_simulator.api.parameters import Parameters
from ecs_simulator.audit import Audit
from ecs_simulator.clock import ManualClock, iso_milliseconds
from ecs_simulator.cloud.cloud import Cloud
from ecs_simulator.cloud.errors import ApiError
from ecs_simulator.fleet import parse_fleet
from ecs_simulator.gateway.memory import Question
from ecs_simulator.gateway.request_faults import ConnectionCut, RequestFaults
from ecs_simulator.gateway.server import Gateway
from ecs_simulator.ids import Ids

from .machine import DoubleMachine

T = TypeVar("T")

REGION = "cn-hangzhou"
KEY = {"id": "demo", "secret": "demo-secret"}


class _Clock(ManualClock):
    """With machines that do no I/O, what a wake-up sets off comes to rest sooner."""

    _TURNS = 10


class _Witness(Audit):
    """An audit log that is kept in memory."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.lines: list[dict[str, Any]] = []

    def _write(self, kind: str, **event: Any) -> None:
        self.lines.append({"kind": kind, "time": iso_milliseconds(self._clock.time()), **event})


class VirtualCloud:
    """A cloud whose time passes when somebody waits. ``make_machine`` makes the machine of an instance's name."""

    def __init__(
        self, fleet: dict[str, Any], make_machine: Callable[[str, ManualClock], DoubleMachine], *, http: bool
    ) -> None:
        self.clock = _Clock()
        self.machines: dict[str, DoubleMachine] = {}
        self._audit = _Witness(self.clock)
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        if http:
            self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
            self._thread.start()

        def make(spec: Any) -> DoubleMachine:
            machine = self.machines[spec.id] = make_machine(spec.name, self.clock)
            return machine

        spec = parse_fleet({"access_keys": [KEY], **fleet})
        self.cloud = self.call(self._open(spec, make))
        self._gateway = Gateway(self.cloud) if http else None
        self._faults = RequestFaults(self.cloud)
        self._port = self.call(self._gateway.start("127.0.0.1", 0)) if self._gateway else 0

    @staticmethod
    async def _coroutine(work: Callable[[], T]) -> T:
        return work()

    async def _open(self, spec: Any, make: Callable[[Any], DoubleMachine]) -> Cloud:
        ids = Ids(spec.seed)
        cloud = Cloud(spec, clock=self.clock, audit=self._audit, ids=ids, make_machine=make)
        await cloud.start()
        return cloud

    def close(self) -> None:
        if self._gateway:
            self.call(self._gateway.close())
        self.call(self.cloud.close())
        self.call(self._end_tasks())
        if self._thread:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the cloud, from whatever thread of a controller."""
        if self._thread:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        return self._loop.run_until_complete(work)

    def do(self, work: Callable[[], T]) -> T:
        """The same for a function."""
        return self.call(self._coroutine(work))

    def advance(self, seconds: float) -> None:
        self.call(self.clock.advance(seconds))

    @property
    def now(self) -> float:
        return self.clock.time()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The audit log so far."""
        return self._audit.lines

    def ids(self) -> dict[str, str]:
        """Instance ids by name."""
        return {name: instance_id for instance_id, name in self.cloud.names().items()}

    def reach(self, api: type[WatchedEcs], clock: Clock) -> WatchedEcs:
        """The API as a controller with that clock reaches it."""
        endpoint = f"http://127.0.0.1:{self._port}"
        reached = api(
            Connection(REGION, endpoint=endpoint, access_key_id=KEY["id"], access_key_secret=KEY["secret"]), clock
        )
        if not self._gateway:
            reached.reach_directly(self)
        return reached

    def request(self, action: str, parameters: dict[str, str]) -> dict[str, Any]:
        """Serve a request without HTTP; raises what the SDK raises."""
        request_id = self.cloud.ids.request()
        known = Parameters(parameters)
        done: dict[str, Any] = {}

        def act() -> dict[str, Any]:
            answer = ACTIONS[action](self.cloud, known, KEY["id"])
            done.update(answer)
            return answer

        code = "200"
        try:
            question = Question.of(KEY["id"], action, parameters)
            return {"RequestId": request_id, **self.call(self._faults.answer(question, request_id, act))}
        except ConnectionCut:
            code = ""
            raise ConnectionError("Connection aborted: RemoteDisconnected") from None
        except ApiError as error:
            code = error.code
            raise imports.AlibabaCloudException(
                code=error.code,
                message=error.message,
                status_code=error.status,
                request_id=request_id,
                retry_after=int(error.headers.get("x-acs-retry-after", 0)) or None,
            ) from None
        finally:
            self._audit.api(
                action=action,
                caller=KEY["id"],
                instance_ids=known.numbered("InstanceId"),
                code=code,
                request_id=request_id,
                milliseconds=0,
                **({"invoke_id": done["InvokeId"]} if "InvokeId" in done else {}),
            )


class WatchedEcs(Ecs):
    """The API; what happens around each request is for others to say."""

    def reach_directly(self, cloud: VirtualCloud) -> None:
        """Leave HTTP out."""
        address = {"_protocol": self._client._protocol, "_endpoint": self._client._endpoint}
        self._client = _DirectClient(cloud, address)

    def before(self, action: str) -> None:
        """A request is about to be sent."""

    def after(self, action: str) -> None:
        """It has been answered, and the answer has not been looked at."""

    def _call(self, attempted: str, call: Callable[..., Any], request: Any, **how: Any) -> dict[str, Any]:
        action = attempted.split(" ")[0]

        def watched(*arguments: Any) -> Any:
            self.before(action)
            answer = call(*arguments)
            self.after(action)
            return answer

        return super()._call(attempted, watched, request, **how)


class _DirectClient:
    """Looks like the SDK's client."""

    def __init__(self, cloud: VirtualCloud, address: dict[str, str]) -> None:
        self._cloud = cloud
        self.__dict__.update(address)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.endswith("_with_options"):
            raise AttributeError(name)

        def call(request: Any, _options: Any) -> Any:
            action = re.sub("Request$", "", type(request).__name__)
            parameters = {key: str(value) for key, value in Utils.query(request.to_map()).items()}
            answer = self._cloud.request(action, parameters)
            return SimpleNamespace(body=SimpleNamespace(to_map=lambda: answer))

        return call
