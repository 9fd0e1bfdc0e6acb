"""How many tokens a text takes, without a vendor's tokenizer."""

from __future__ import annotations


def estimate(text: str) -> int:
    """About how many: see `of_bytes`."""
    return of_bytes(at_most(text))


def of_bytes(length: int) -> int:
    """About how many tokens so many bytes of UTF-8 are: a quarter, rounded up, as OpenAI says of English.

    https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
    """
    return -(-length // 4)


def at_most(text: str) -> int:
    """No fewer than any byte-level BPE makes: each token stands for at least one byte."""
    # A lone surrogate cannot be sent as it is; it takes no more than these three bytes.
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
