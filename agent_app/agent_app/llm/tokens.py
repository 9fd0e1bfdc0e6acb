"""How many tokens a text is, without the vendor's tokenizer."""

from __future__ import annotations

_BYTES_PER_TOKEN = 4


def estimate(text: str) -> int:
    """About as many as a vendor counts: a token for every 4 bytes of UTF-8, rounded up."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


def at_most(text: str) -> int:
    """No byte-level BPE makes more tokens than the text has bytes."""
    return len(text.encode("utf-8", "surrogatepass"))
