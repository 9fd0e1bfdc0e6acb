"""What a pod's container writes: its log as it is, and a copy as kubelets keep it, for `kubectl logs`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

#: Logs of pods that are gone are kept for a look at them, the newest ones.
_KEPT = 20


class Copy:
    """Of a log that grows; each line with the time at which it was seen.

    https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
    """

    def __init__(self, source: Path, to: Path) -> None:
        self._source = source
        self._to = to
        # What an earlier container wrote is in the copy already.
        self._position = source.stat().st_size if source.exists() else 0
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        to.touch(mode=0o600)

    def catch_up(self, *, whole: bool = False) -> None:
        """Copies the lines that are new; with `whole` the last one too, ended or not."""
        try:
            with self._source.open("rb") as file:
                file.seek(self._position)
                text = file.read()
        except OSError:
            return
        complete = len(text) if whole else text.rfind(b"\n") + 1
        if not complete:
            return
        self._position += complete
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")  # noqa: UP017
        lines = text[:complete].removesuffix(b"\n").split(b"\n")
        with self._to.open("ab") as file:
            file.write(b"".join(b"%s stdout F %s\n" % (now.encode(), line) for line in lines))


def prune(directory: Path, *, living: set[str]) -> None:
    """Removes the oldest logs of pods that are gone; `living` are the names of those that are not."""
    gone = [
        file
        for file in directory.glob("fleet-*.log*")
        if not any(file.name.startswith(f"fleet-{name}.") for name in living)
    ]
    for file in sorted(gone, key=lambda each: each.stat().st_mtime)[:-_KEPT]:
        file.unlink(missing_ok=True)
