"""Kubernetes' quantities, so that a wrong one is found before anything is made."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def cpu_millis(text: str) -> Decimal:
    """CPU in thousandths of a core.

    Raises:
        ValueError: it is not such as `250m`, `1` or `0.5`.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    if not match or Decimal(match[1]) == 0:
        raise ValueError("not an amount of CPU; say it such as 250m (a quarter of a core) or 1")
    return Decimal(match[1]) * (1 if match[2] else 1000)


def memory_bytes(text: str) -> Decimal:
    """Memory in bytes.

    Raises:
        ValueError: it is not such as `256Mi`, `1Gi` or `500M`.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?", text)
    if not match or Decimal(match[1]) == 0:
        raise ValueError("not an amount of memory; say it such as 256Mi or 1Gi")
    return Decimal(match[1]) * _UNITS[match[2] or ""]
