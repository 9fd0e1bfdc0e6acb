"""What is measured and what it needs, on loopback: real stores, a stub vendor, a receiver of traces."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.app import stack as stacks
from tests.app.processes import LOOPBACK, free_port, listens, process, tool, until
from tests.app.stack import App, Stack

_ROOT = Path(__file__).parents[1]
KEY = "bench-" + secrets.token_hex(16)


@dataclass(frozen=True)
class Ground:
    """A migrated fleet, its vendor's stub, and the settings with which the service does all that it can."""

    stack: Stack
    vendor: str
    everything: dict[str, str]


@contextlib.contextmanager
def ground(delay: float) -> Iterator[Ground]:
    """The vendor answers after `delay` seconds. Postgres writes through to the disk, unlike in the tests."""
    with contextlib.ExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        postgres = parts.enter_context(stacks.postgres_server(directory, durable=True))
        redis = parts.enter_context(stacks.redis(directory))
        stack = Stack(directory, postgres.port, redis, parts.enter_context(stacks.moto(directory)))
        stack.fleet()
        keys = stack.client("secretsmanager").create_secret(
            Name="bench-keys", SecretString=json.dumps({"bench": KEY})
        )
        stack.variables["AGENT_APP_API_KEYS_SECRET_ARN"] = keys["ARN"]
        migrated = stack.migrate()
        assert migrated.returncode == 0, migrated.stderr
        vendor = parts.enter_context(tool("stub_llm", directory, "--delay", str(delay)))
        traces = parts.enter_context(bare(directory, "traces", vendor))
        yield Ground(stack, vendor, _everything(vendor, traces))


def _everything(vendor: str, traces: str) -> dict[str, str]:
    # No limit and no budget is ever reached.
    return {
        "OPENAI_API_KEY": "sk-bench",
        "OPENAI_BASE_URL": f"{vendor}/v1",
        "AGENT_APP_LLM_REQUESTS_PER_MINUTE": "1000000",
        "AGENT_APP_LLM_TOKENS_PER_MINUTE": "10000000000",
        "AGENT_APP_MONTHLY_BUDGET_USD": "1000000",
        "AGENT_APP_REQUESTS_PER_MINUTE": "1000000",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces,
    }


@contextlib.contextmanager
def served(directory: Path, name: str, command: list[str], **variables: str) -> Iterator[str]:
    """A server that takes `--port`, as a process of its own; gives its URL."""
    port = free_port()
    environment = {**stacks.environment({"PYTHONPATH": str(_ROOT)}), "PYTHONWARNINGS": "ignore", **variables}
    log = directory / f"{name}-{port}.log"
    with process([*command, "--port", str(port)], log, cwd=_ROOT, env=environment) as running:
        until(lambda: running.poll() is not None or listens(port), 120, what=name)
        assert running.poll() is None, log.read_text()
        yield f"http://{LOOPBACK}:{port}"


@contextlib.contextmanager
def bare(directory: Path, route: str, vendor: str) -> Iterator[str]:
    """A route as people write it, see `bare.py`; without an access log, which ours has."""
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        f"benchmarks.bare:{route}",
        "--no-access-log",
        "--host",
        LOOPBACK,
    ]
    with served(directory, route, command, VENDOR=vendor) as url:
        yield url


def load(url: str, body: str, *, seconds: float, **how: Any) -> dict[str, Any]:
    """What `load.py` found; all must have been answered.

    Args:
        url: where to.
        body: which kind, see there.
        seconds: for how long.
        how: `rate` or `at_once`, `count`, `seed`.
    """
    options = [f"--{name.replace('_', '-')}={value}" for name, value in how.items()]
    command = [sys.executable, "-m", "benchmarks.load", url, "--body", body, "--key", KEY]
    done = subprocess.run(
        [*command, f"--seconds={seconds}", *options],
        cwd=_ROOT,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["milliseconds"], f"nothing was answered by {url}"
    assert not found["failed"], f"{found['failed']} were not answered by {url}"
    return found


def memory(app: App) -> float:
    """MiB that the process takes: its own pages, and its share of those it has with others (PSS)."""
    rollup = Path(f"/proc/{app.running.pid}/smaps_rollup").read_text()
    return round(int(rollup.split("Pss:")[1].split()[0]) / 1024, 1)
