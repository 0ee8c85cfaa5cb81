"""Dead letters: deliveries that failed, written to their stream before the record becomes final."""

import asyncio
import time
from collections.abc import Callable

import msgspec
import structlog

from event_gateway.broker.dead_letters import DeadLetterBody, DeadLetterLog
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.tasks import spawn

log = structlog.get_logger(__name__)

MAX_WRITING = 256  # at a time


class DeadLetterWriter:
    """Appends dead letters in the background, each once: the caller writes again what fails."""

    def __init__(self, dead_letter_log: DeadLetterLog) -> None:
        self._log = dead_letter_log
        self._slots = asyncio.Semaphore(MAX_WRITING)
        self._writing: set[asyncio.Task[None]] = set()

    def write(
        self,
        received: Received,
        delivery: Delivery,
        webhook: Webhook,
        reason: str,
        *,
        on_confirmed: Callable[[int], None],
        on_failed: Callable[[], None],
    ) -> None:
        """Writes a dead letter in the background.

        Then calls ``on_confirmed`` with its sequence in the stream, or ``on_failed`` if NATS has
        not confirmed it.
        """
        body = DeadLetterBody(
            webhook_id=delivery.webhook_id,
            url=webhook.url,
            webhook=msgspec.Raw(msgspec.json.encode(webhook_to_json(webhook))),
            reason=reason,
            attempts=delivery.attempts,
            stream=delivery.stream,
            seq=delivery.seq,
            run=delivery.run,
            repeats=delivery.run_by,
            time=rfc3339(time.time()),
            event=msgspec.Raw(to_structured(received.event)),
        )
        event = received.event
        identity = "\0".join(
            (webhook.id, str(webhook.created_at), event.source, event.id, str(delivery.seq),
             str(delivery.run))
        )  # fmt: skip
        task = spawn(self._write(body, identity, on_confirmed, on_failed), name="dead-letter")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def stop(self, timeout: float) -> None:
        """Waits for the dead letters that are being written, at most ``timeout`` seconds."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=timeout)

    async def _write(
        self,
        body: DeadLetterBody,
        identity: str,
        on_confirmed: Callable[[int], None],
        on_failed: Callable[[], None],
    ) -> None:
        async with self._slots:
            try:
                seq = await self._log.append(body, identity)
            except LogUnavailable as error:
                log.warning("dead letter not confirmed, will be written again",
                            webhook=body.webhook_id, error=str(error))  # fmt: skip
                on_failed()
                return
            except Exception:
                log.exception("dead letter not written, will be written again",
                              webhook=body.webhook_id)  # fmt: skip
                on_failed()
                return
        on_confirmed(seq)
