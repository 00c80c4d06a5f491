# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bytes of a command's output reach the service.

Measured on the real agent: while a command runs, at most 2,048 bytes go out each second until more than 6,000
have gone; the final report carries the last bytes that the quota leaves room for. The middle of a long output is
lost, and of a short command only the tail is kept.
"""

from dataclasses import dataclass

CHUNK_BYTES = 2048
STREAM_LIMIT_BYTES = 6000
REPORT_INTERVAL_S = 1.0


@dataclass
class OutputBudget:
    """Counts what was streamed and cuts the final report."""

    quota: int
    streamed: int = 0

    def next_chunk_bytes(self) -> int:
        """How many bytes the next running report may carry."""
        return CHUNK_BYTES if self.streamed <= STREAM_LIMIT_BYTES else 0

    def stream(self, chunk: bytes) -> bytes:
        self.streamed += len(chunk)
        return chunk

    def final(self, rest: bytes) -> tuple[bytes, int]:
        """The tail that fits and how many bytes before it are dropped."""
        room = max(0, self.quota - self.streamed)
        tail = rest[-room:] if room else b""
        return tail, len(rest) - len(tail)
