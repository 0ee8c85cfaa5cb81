"""Writes the audit log: before a change a record of the caller and the change, after it one of the
outcome.

No change is made whose record is not stored: if NATS does not confirm it, the call is refused. If
the process ends between the two records, the first one shows that the change may have been made.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from event_gateway.broker.failures import LogUnavailable
from event_gateway.core.access.allowances import Allowances
from event_gateway.core.audit.chain import hash_of
from event_gateway.core.audit.change import change
from event_gateway.core.audit.record import (
    FORMAT,
    AuditRecord,
    Members,
    Outcome,
    Phase,
    Who,
    encode,
    outcome_of,
)
from event_gateway.core.text.times import rfc3339

log = structlog.get_logger(__name__)

BEGIN_TIMEOUT = 5.0  # seconds without a stored record until changes that wait are refused
MAX_BEGIN = 30.0  # seconds until a change is refused because its record is not confirmed
END_TIMEOUT = 1.0  # seconds for which an answer waits for the record of its outcome
RETRY_DELAY = 0.5  # seconds
MAX_WAITING = 1000  # records that wait for NATS; with more, changes are refused unrecorded
# Records of refused calls of one caller, and of all unauthenticated callers together, so that no
# caller can fill the log with them, or hide those of others: a burst of REFUSED_AT_ONCE, and
# REFUSED_A_SECOND after that. The others are counted.
REFUSED_AT_ONCE = 60
REFUSED_A_SECOND = 1.0


class Log(Protocol):
    """Where records are stored."""

    @property
    def connected(self) -> bool:
        """Whether the server can be reached."""

    async def append(self, phase: Phase, record: bytes, message_id: str) -> None:
        """Stores a record. Raises LogUnavailable."""


class NotRecorded(LogUnavailable):
    """The audit log cannot be written, so that the change was not made."""


class Call:
    """A call that is recorded. It says what it changes with :meth:`about`."""

    __slots__ = ("_record", "after", "before", "resource")

    def __init__(self, record: AuditRecord) -> None:
        self._record = record
        self.resource = record.resource
        self.before: Members = msgspec.UNSET
        self.after: Members = msgspec.UNSET

    def about(
        self,
        resource: str | None = None,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """What the call changes: the resource (as ``resource_name`` makes it) where the path does
        not name it, and how the API shows it before and after. Secrets are left out."""
        self.resource = self.resource if resource is None else resource
        self.before, self.after = change(before, after)

    def ended(self, outcome: Outcome, status: int | None) -> AuditRecord:
        """The second record of the call."""
        return msgspec.structs.replace(
            self._record, phase="ended", began=self._record.time, time=rfc3339(time.time()),
            resource=self.resource, outcome=outcome, status=status,
            before=self.before, after=self.after,
        )  # fmt: skip


class _Waiting:
    """A record that is not stored yet; ``stored`` is set once it is."""

    __slots__ = ("record", "stored")

    def __init__(self, record: AuditRecord) -> None:
        self.record = record
        self.stored = asyncio.get_running_loop().create_future()


class AuditTrail:
    """The records of one process, stored one after the other. ``process``: its name.

    ``file`` and ``gateway`` stand for the configuration file and the gateway itself in place of a
    caller."""

    def __init__(self, log: Log, process: str) -> None:
        self._log = log
        self._process = process
        self.file = Who("configuration file", "file", process)
        self.gateway = Who("event-gateway", "gateway", process)
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._number = 0
        self._stored = 0  # records so far
        self._previous = ""
        self._encoded: bytes | None = None  # the record that is being stored
        self._problem = ""  # why it is not stored yet
        self._unrecorded = 0
        self._allowances = Allowances(REFUSED_AT_ONCE, REFUSED_A_SECOND)

    async def run(self) -> None:
        """Stores the records that wait. It never returns."""
        self._news.set()  # after a crash of this task records may wait
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._store(self._waiting[0].record)
                stored = self._waiting.popleft().stored
                self._stored += 1
                if not stored.done():
                    stored.set_result(None)

    async def finish(self, timeout: float) -> None:
        """Returns once no record waits, or after ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._waiting:
                    await asyncio.wait([self._waiting[-1].stored])

    async def begin(
        self,
        principal: Who,
        operation: str,
        resource: str = "",
        *,
        client: str = "",
        request_id: str = "",
    ) -> Call:
        """Stores that a change begins. Raises NotRecorded: then it must not be made."""
        if len(self._waiting) >= MAX_WAITING:
            self._unrecorded += 1
            raise NotRecorded(self._problem or "too many records wait for NATS")
        begun = self._new(
            "begun", principal, operation, resource, client=client, request_id=request_id
        )
        call, waiting = Call(begun), self._enqueue(begun)
        try:
            await self._wait(waiting.stored)
            if not waiting.stored.done():
                raise NotRecorded(self._problem or "NATS cannot be reached")
        except BaseException:
            # It is stored later, followed by the outcome of a call that changed nothing.
            self._enqueue(call.ended("failed", 503))
            raise
        return call

    async def _wait(self, stored: asyncio.Future[None]) -> None:
        """Waits for as long as records are stored: a burst of changes is not a broken log."""
        before = -1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_BEGIN):
                while self._log.connected and not stored.done() and self._stored != before:
                    before = self._stored
                    await asyncio.wait([stored], timeout=BEGIN_TIMEOUT)

    def end(self, call: Call, outcome: Outcome, status: int | None = None) -> asyncio.Future[None]:
        """Stores the outcome of a change; the future is done once that is confirmed."""
        return self._enqueue(call.ended(outcome, status)).stored

    async def answered(self, call: Call, status: int) -> None:
        """Stores the status with which a call was answered. Waits at most END_TIMEOUT seconds for
        the confirmation: the change was made, and its outcome is stored once NATS is back."""
        await asyncio.wait([self.end(call, outcome_of(status), status)], timeout=END_TIMEOUT)

    def refused(
        self,
        principal: Who | None,
        operation: str,
        resource: str,
        status: int,
        *,
        client: str,
        request_id: str,
    ) -> None:
        """Stores, without waiting, that a call was refused before it could change anything."""
        caller = "" if principal is None else f"{principal.method}:{principal.id}"
        if len(self._waiting) >= MAX_WAITING or self._allowances.take(caller, time.monotonic()):
            self._unrecorded += 1
            return
        record = self._new(
            "refused", principal, operation, resource, client=client, request_id=request_id
        )
        self._enqueue(msgspec.structs.replace(record, outcome="refused", status=status))

    @contextlib.asynccontextmanager
    async def change(
        self, principal: Who, operation: str, resource: str
    ) -> AsyncGenerator[Call, None]:
        """Records a change that is no call of the API: by the configuration file, or by the gateway
        itself. Raises NotRecorded before the change."""
        call = await self.begin(principal, operation, resource)
        try:
            yield call
        except BaseException:
            self.end(call, "failed")
            raise
        self.end(call, "succeeded")

    def recreated(self) -> None:
        """Stores, without waiting, that the log itself was deleted, and created again empty."""
        self._noticed(self.gateway, "audit-log.recreated", "")

    def admin_key_changed(self) -> None:
        """Stores, without waiting, that the file of the admin key has another key, which is in
        force."""
        self._noticed(Who("file of the admin key", "file", self._process), "keys.change",
                      "key/admin")  # fmt: skip

    def _noticed(self, principal: Who, operation: str, resource: str) -> None:
        record = self._new("ended", principal, operation, resource)
        self._enqueue(msgspec.structs.replace(record, outcome="succeeded", began=record.time))

    def _new(
        self,
        phase: Phase,
        principal: Who | None,
        operation: str,
        resource: str,
        *,
        client: str = "",
        request_id: str = "",
    ) -> AuditRecord:
        return AuditRecord(
            v=FORMAT, call=secrets.token_hex(8), phase=phase, time=rfc3339(time.time()),
            process=self._process, number=0, operation=operation, resource=resource,
            principal=principal, client=client, request_id=request_id,
        )  # fmt: skip

    def _enqueue(self, record: AuditRecord) -> _Waiting:
        waiting = _Waiting(record)
        self._waiting.append(waiting)
        self._news.set()
        return waiting

    async def _store(self, record: AuditRecord) -> None:
        """Stores a record as the next of this process, however long that takes."""
        if self._encoded is None:
            unrecorded = 0
            if record.phase != "begun":  # the first record of a call is shown by its second
                unrecorded, self._unrecorded = self._unrecorded, 0
            self._number += 1
            self._encoded = encode(msgspec.structs.replace(
                record, number=self._number, previous=self._previous, unrecorded=unrecorded
            ))  # fmt: skip
        while True:
            try:
                await self._log.append(
                    record.phase, self._encoded, f"{self._process}:{self._number}"
                )
                break
            except LogUnavailable as error:
                if not self._problem:
                    log.error("the audit log cannot be written: changes are refused",
                              reason=str(error))  # fmt: skip
                self._problem = str(error) or "NATS does not answer"
                await asyncio.sleep(RETRY_DELAY)
        if self._problem:
            log.info("the audit log is written again")
            self._problem = ""
        self._previous = hash_of(self._encoded)
        self._encoded = None
