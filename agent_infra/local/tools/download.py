"""The official release of a tool, where the internet is reachable."""

from __future__ import annotations

import hashlib
import http.client
import queue
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from agent_infra.local.progress import Report
from agent_infra.local.tools.places import Places
from agent_infra.local.tools.process import OutOfReach, Unavailable, is_disk_full
from agent_infra.local.tools.tool import Release

#: A host that does not answer must not hold up a build.
CONNECT_SECONDS = 3.0
#: For the checksums, with name resolution, a proxy and every address of the host: all that it may take.
REACH_SECONDS = 6.0
STALL_SECONDS = 20.0
#: Pulumi's archives, the largest, are under 200 MB, and under 700 MB unpacked.
LARGEST_ARCHIVE = 600 * 2**20
LARGEST_UNPACKED = 3 * 2**30
USUAL_SECONDS = 15.0

_CHUNK = 2**20
#: By the length of a sum in hexadecimal digits.
_ALGORITHMS = {64: "sha256", 128: "sha512"}
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def download(
    release: Release,
    version: str,
    wanted: Sequence[str],
    target: Path,
    *,
    title: str,
    places: Places,
    report: Report,
) -> None:
    """Puts the wanted programs of a release into a directory, the checksum of what was fetched verified.

    Raises:
        Unavailable: out of reach, no release for this machine, or not what its checksum says.
        OSError: the directory cannot be written.
    """
    address = release.address(release.file, version, places)
    name = address.rpartition("/")[2]
    site = release.host(places)
    report(f"Asking {site} for {title} {version}", CONNECT_SECONDS)
    expected = _checksum(_reach(release.address(release.checksums, version, places)), name, site=site)
    report(f"Downloading {title} {version} from {site}", USUAL_SECONDS)
    fetched = target / f"{name}.fetched"
    try:
        actual = _save(address, fetched, algorithm=_ALGORITHMS[len(expected)])
        if actual != expected:
            raise Unavailable(
                f"{name} from {site} is not the published file (its checksum is {actual[:16]}..., published "
                f"is {expected[:16]}...); it was thrown away"
            )
        if name.endswith(".tar.gz"):
            _unpack(fetched, set(wanted), target)
        else:
            fetched.rename(target / wanted[0])
            (target / wanted[0]).chmod(0o755)
    except (http.client.HTTPException, tarfile.TarError, zlib.error, EOFError) as error:
        raise Unavailable(f"the download of {name} broke off or is damaged ({error})") from None
    except OSError as error:
        if is_disk_full(error):
            raise
        raise Unavailable(f"the download of {name} from {site} failed ({_reason(error)})") from None
    finally:
        fetched.unlink(missing_ok=True)


class _StaySafe(urllib.request.HTTPRedirectHandler):
    """A release is served by way of a redirect; one to plain HTTP is refused."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, http.client.HTTPMessage(), newurl)


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise Unavailable(f"{parts.scheme}://{parts.hostname} is no https address")


def _open(url: str, *, timeout: float) -> http.client.HTTPResponse:
    _require_safe(url)
    request = urllib.request.Request(url, headers={"User-Agent": "agent-infra"})  # noqa: S310 - checked above
    response: http.client.HTTPResponse = urllib.request.build_opener(_StaySafe).open(request, timeout=timeout)
    return response


def _reach(url: str) -> str:
    """A small file, within a time that covers what a socket's timeout does not, such as name resolution."""
    answers: queue.SimpleQueue[str | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            with _open(url, timeout=CONNECT_SECONDS) as response:
                answers.put(response.read(_CHUNK).decode("ascii", "replace"))
        except (Unavailable, OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="checksums").start()
    site = urlsplit(url).hostname
    try:
        answer = answers.get(timeout=REACH_SECONDS)
    except queue.Empty:
        raise OutOfReach(f"{site} did not answer within {REACH_SECONDS:.0f} s") from None
    if isinstance(answer, Unavailable):
        raise answer
    if isinstance(answer, urllib.error.HTTPError):
        raise Unavailable(f"{site} has no {urlsplit(url).path} (HTTP {answer.code})")
    if isinstance(answer, Exception):
        raise OutOfReach(f"{site} cannot be reached ({_reason(answer)})")
    return answer


def _checksum(published: str, name: str, *, site: str) -> str:
    """The sum of a file, from a list with names or from a file that has its sum alone."""
    for line in published.splitlines():
        digest, _, file = line.strip().partition(" ")
        file = file.strip().lstrip("*").removeprefix("./")
        alone = not file and len(published.split()) == 1
        if (file == name or alone) and len(digest) in _ALGORITHMS:
            return digest.lower()
    raise Unavailable(f"{site} has no {name}: there is no release for this kind of machine")


def _save(url: str, archive: Path, *, algorithm: str) -> str:
    digest, size = hashlib.new(algorithm), 0
    with _open(url, timeout=STALL_SECONDS) as response, archive.open("wb") as file:
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > LARGEST_ARCHIVE:
                raise Unavailable(
                    f"{archive.stem} is larger than {LARGEST_ARCHIVE >> 20} MiB; it was thrown away"
                )
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _unpack(archive: Path, wanted: set[str], target: Path) -> None:
    missing, size = set(wanted), 0
    inside = target / "unpacked"
    with tarfile.open(archive, "r:gz") as files:
        for member in files:
            size += member.size
            if size > LARGEST_UNPACKED:
                raise Unavailable(f"{archive.stem} unpacks to more than {LARGEST_UNPACKED >> 30} GiB")
            name = Path(member.name).name
            if name in missing and member.isfile():
                files.extract(member, inside, filter="data")
                (inside / member.name).rename(target / name)
                (target / name).chmod(0o755)
                missing.remove(name)
    shutil.rmtree(inside, ignore_errors=True)
    if missing:
        raise Unavailable(f"{archive.stem} has no {', '.join(sorted(missing))}")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return str(reason) or type(error).__name__
