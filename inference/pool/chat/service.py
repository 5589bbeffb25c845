"""What the pool's routes have of chat: the base's prompts, and its engine's process."""

from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

from inference.pool.chat.bodies import ChatBody
from inference.pool.chat.engine import ChatLimits
from inference.pool.chat.process import ChatProcess, ChatProcessLost, ChatSettings
from inference.pool.chat.prompts import Prompts
from inference.pool.chat.requests import Event
from inference.pool.errors import PoolError
from inference.pool.settings import PoolSettings
from inference.tickets import Ticket

NO_CHAT: dict[str, Any] = {
    "adapters": [],
    "adapter_bytes": 0,
    "rows": 0,
    "kv_tokens": 0,
    "queued_tokens": 0,
    "queues": {},
}
"""The state where no chat engine runs."""


class ChatService:
    """One chat base, in front of its process: see ChatProcess, of which it is the pool's view."""

    def __init__(self, base_model_id: str, settings: PoolSettings) -> None:
        """Raises UnknownBaseModel or BaseModelUnavailable."""
        self.prompts = Prompts.load(base_model_id)
        self._numbers = count(1)
        limits = ChatLimits(
            rows=settings.chat_rows,
            kv_tokens=settings.chat_kv_tokens,
            chunk_tokens=settings.chat_chunk_tokens,
            tenant_queue_tokens=settings.tenant_queue_tokens,
            queue_tokens=settings.queue_tokens,
        )
        self.process = ChatProcess(
            ChatSettings(
                base_id=base_model_id,
                limits=limits,
                threads=settings.threads,
                precision=settings.precision,
                adapter_bytes=settings.adapter_bytes,
                log_level=settings.log_level,
            )
        )

    async def add_adapter(self, ticket: Ticket, data: bytes) -> int:
        """Put the file of the ticket's adapter into the engine's memory; the bytes that it takes there.

        Raises InvalidAdapter or PoolError.
        """
        try:
            return await self.process.add_adapter(ticket.tenant, ticket.adapter, data)
        except ChatProcessLost as lost:
            raise PoolError(500, "engine_failed", str(lost)) from None

    async def state(self) -> dict[str, Any]:
        """What the engine holds and what waits, as the pool's state has it; nothing while it starts again."""
        try:
            return await self.process.state()
        except ChatProcessLost:
            return NO_CHAT

    def answer(self, ticket: Ticket, prompt: list[int], body: ChatBody) -> AsyncGenerator[Event]:
        """The events of an answer; to close them early is to cancel it."""
        return self.process.answer(
            {
                # Not the request's own id: a ticket may be used twice while it is fresh.
                "id": str(next(self._numbers)),
                "tenant": ticket.tenant,
                "prompt": prompt,
                "deadline": ticket.expires,
                "adapter": ticket.adapter,
                "weight": ticket.weight,
                **body.request_fields(),
            }
        )
