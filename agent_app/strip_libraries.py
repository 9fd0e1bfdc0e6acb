"""Cuts off the shared libraries below a directory what only debuggers read: `strip_libraries.py DIRECTORY`.

The wheels' libraries carry symbol tables and debug information, more than all else in some. The loader reads
program headers and the segments that they name, never section headers (System V ABI, chapter 5); what comes
after the last segment is not needed to run. A base image need not have binutils' `strip` for this.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

#: 64-bit, little-endian: what amd64 and arm64 are.
_MAGIC = b"\x7fELF\x02\x01"
_SHARED_OBJECT = 3


def stripped(content: bytes) -> bytes:
    """The library without section headers and all that follows its last segment; other files as they are."""
    if content[:6] != _MAGIC or struct.unpack_from("<H", content, 16) != (_SHARED_OBJECT,):
        return content
    (headers,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    end = headers + size * count
    for place in range(headers, end, size):
        (offset,) = struct.unpack_from("<Q", content, place + 8)
        (length,) = struct.unpack_from("<Q", content, place + 32)
        end = max(end, offset + length)
    short = bytearray(content[:end])
    struct.pack_into("<Q", short, 40, 0)  # where the section headers are
    struct.pack_into("<HHH", short, 58, 0, 0, 0)  # their size and number, and which has their names
    return bytes(short)


def main(directory: Path) -> None:
    """Rewrites those that get shorter."""
    saved = 0
    for path in sorted(directory.rglob("*.so*")):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            short = stripped(content)
            if len(short) < len(content):
                path.write_bytes(short)
                saved += len(content) - len(short)
    sys.stdout.write(f"shared libraries are {saved / 1e6:.1f} MB shorter\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
