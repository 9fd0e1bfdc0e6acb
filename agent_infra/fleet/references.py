"""References to images: `[registry/]repository[:tag][@digest]`."""

from __future__ import annotations

import re
from typing import Final

# https://github.com/distribution/reference/blob/main/reference.go
_DOMAIN: Final = (
    r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|\[[0-9a-fA-F:]+\])(?::\d+)?|[A-Za-z0-9-]+:\d+"
)
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:(?:{_DOMAIN})/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}))?",
    re.ASCII,
)
_LONGEST_NAME: Final = 255


def reference_problem(text: str) -> str | None:
    """What is wrong with a reference, in a sentence; None where nothing is."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        if "://" in text:
            return f"it is an address; leave {text.partition('://')[0]}:// out"
        if "@" in text:
            return "what is behind @ is no digest; a digest is sha256: and 64 hexadecimal digits"
        return "say [registry/]repository[:tag][@sha256:...], the repository in lower case"
    if len(found["name"]) > _LONGEST_NAME:
        return f"its name has {len(found['name'])} characters; {_LONGEST_NAME} are allowed"
    return None


def tag_of(text: str) -> str | None:
    """The tag of a reference."""
    found = _REFERENCE.fullmatch(text)
    return found["tag"] if found else None


def moves(text: str) -> bool:
    """Whether a reference may mean another image tomorrow: it has no digest."""
    found = _REFERENCE.fullmatch(text)
    return found is None or found["digest"] is None


def pinning(text: str) -> str:
    """How to come from a reference that moves to its digest."""
    tag = tag_of(text)
    named, full = ("a tag", text) if tag else ("no tag, which means :latest,", f"{text}:latest")
    repository = text.removesuffix(f":{tag}") if tag else text
    return (
        f"{text} has {named} and no digest, and another image may be behind it on the next node; say "
        f"{repository}@sha256:..., as `docker buildx imagetools inspect {full}` or `crane digest {full}` "
        "tells it"
    )
