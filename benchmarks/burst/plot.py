"""The backlog and the replicas over time, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.burst.accounts import Record

_SHOWN = {
    "seed": ("the seed's HPA, CPU 70 %, 3..10", "#b0413e"),
    "keda": ("KEDA's defaults", "#8a8d91"),
    "fleet": ("AgentFleet's defaults", "#1f6f8b"),
}


def draw(records: Mapping[str, Record], to: Path) -> list[Path]:
    """Writes `to` as PNG and as SVG; one picture has the waiting tasks above and the paid pods below."""
    import matplotlib as mpl

    mpl.use("Agg")
    # The same figures make the same file: no date, no drawn ids.
    mpl.rcParams["svg.hashsalt"] = "burst"
    from matplotlib import pyplot, ticker

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(9, 5.5), layout="constrained")
    for name, (label, colour) in _SHOWN.items():
        samples = records[name].samples
        minutes = [sample.at / 60 for sample in samples]
        above.plot(minutes, [sample.waiting for sample in samples], label=label, color=colour)
        below.step(minutes, [sample.paid for sample in samples], where="post", color=colour)
    above.set_ylabel("tasks waiting")
    below.set_ylabel("pods, paid")
    below.yaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    below.set_xlabel("minutes")
    above.legend(frameon=False, loc="upper center")
    for part in (above, below):
        part.spines[["top", "right"]].set_visible(False)
        part.set_ylim(bottom=0)
        part.margins(x=0)
    files = [to.with_suffix(end) for end in (".png", ".svg")]
    for file in files:
        no_date = {"Date": None} if file.suffix == ".svg" else {"Software": None}
        figure.savefig(file, dpi=110, metadata=no_date)
    pyplot.close(figure)
    return files
