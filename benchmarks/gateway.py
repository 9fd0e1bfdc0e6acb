"""Throughput of one process against LiteLLM's proxy: `python -m benchmarks.gateway`.

The vendor's stub answers at once, 32 requests are always open, round by round each of these has its turn:

- LiteLLM: a key; nothing else. No database, no Redis, no callback, one worker on uvloop.
- LiteLLM, limits and metrics: limits of requests and tokens kept in Redis, and its Prometheus metrics.
- agent-app: a key and metrics; sessions in its memory.
- agent-app, everything: a key; each turn kept in Postgres and Redis, limits in Redis, a budget, costs by key,
  metrics and traces.

LiteLLM is asked for chat completions, agent-app for chats. LiteLLM is installed from `litellm.lock`, with
hashes, into a virtual environment of its own, the first time.
"""

from __future__ import annotations

import statistics
import subprocess
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import results, running
from tests.app.processes import LOOPBACK
from tests.app.stack import REDIS_PASSWORD, Stack

ROUNDS, SECONDS, AT_ONCE = 5, 4.0, 32
_HERE = Path(__file__).parent
_VENV = _HERE / ".venv"

_PLAIN = """
model_list:
  - model_name: gpt-5-mini
    litellm_params:
      {{model: openai/gpt-5-mini, api_key: sk-bench, api_base: "{vendor}/v1", rpm: 1000000, tpm: 10000000000}}
general_settings: {{master_key: "{key}"}}
"""
_MORE = """
litellm_settings: {{callbacks: ["prometheus"]}}
router_settings:
  {{optional_pre_call_checks: ["enforce_model_rate_limits"], redis_host: {host}, redis_port: {port},
    redis_password: "{password}"}}
"""


def main() -> None:
    _install()
    with ExitStack() as parts:
        ground = parts.enter_context(running.ground(0))
        stack, vendor = ground.stack, ground.vendor
        completions, chat = "/v1/chat/completions", "/v1/chat"
        plain = {
            name: "" for name in stack.variables if name.startswith(("AGENT_APP_REDIS", "AGENT_APP_DATABASE"))
        }
        key = {"OPENAI_API_KEY": "sk-bench", "OPENAI_BASE_URL": f"{vendor}/v1", "AGENT_APP_QUEUE_URL": ""}
        ours = {
            "agent-app": parts.enter_context(stack.app(**plain, **key)),
            "agent-app, everything": parts.enter_context(stack.app(**ground.everything)),
        }
        for app in ours.values():
            app.ready()
        asked = {
            "LiteLLM": parts.enter_context(_litellm(stack, "plain", _PLAIN, vendor)) + completions,
            "LiteLLM, limits and metrics": parts.enter_context(
                _litellm(stack, "more", _PLAIN + _MORE, vendor)
            )
            + completions,
            **{name: app.url + chat for name, app in ours.items()},
        }
        rates: dict[str, list[float]] = {name: [] for name in asked}
        for name, url in asked.items():
            _load(name, url, seconds=7, seed=0)  # a new window of limits admits nothing for its first 5 s
        for round_ in range(1, ROUNDS + 1):
            for name, url in asked.items():
                rates[name].append(_load(name, url, seconds=SECONDS, seed=round_))
    found = {name: {"per_second": results.spread(values)} for name, values in rates.items()}
    ratios = {
        f"{one} / {other}": results.spread([a / b for a, b in zip(rates[one], rates[other], strict=True)])
        for one, other in zip(ours, list(asked)[:2], strict=True)
    }
    ratios["agent-app, everything / LiteLLM"] = results.spread(
        [a / b for a, b in zip(rates["agent-app, everything"], rates["LiteLLM"], strict=True)]
    )
    for name, values in rates.items():
        print(f"{name:30} {statistics.median(values):7.1f} a second")
    for name, ratio in ratios.items():
        print(f"{name:60} {results.shown(ratio)}")
    versions = {"litellm": _version()}
    results.write("gateway", {**versions, "at_once": AT_ONCE, "rounds": ROUNDS, **found, "ratios": ratios})


def _load(name: str, url: str, *, seconds: float, seed: int) -> float:
    body = "openai" if name.startswith("LiteLLM") else "plain"
    rate: float = running.load(url, body, seconds=seconds, at_once=AT_ONCE, seed=seed)["per_second"]
    return rate


@contextmanager
def _litellm(stack: Stack, name: str, settings: str, vendor: str) -> Iterator[str]:
    path = stack.directory / f"litellm-{name}.yaml"
    values: dict[str, Any] = {"host": LOOPBACK, "port": stack.redis_port, "password": REDIS_PASSWORD}
    path.write_text(settings.format(vendor=vendor, key=running.KEY, **values))
    # Its own list of models and prices, and not the one it would fetch.
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [str(_VENV / "bin/litellm"), "--config", str(path), "--host", LOOPBACK]
    with running.served(stack.directory, f"litellm-{name}", command, **quiet) as url:
        yield url


def _install() -> None:
    lock, installed = _HERE / "litellm.lock", _VENV / ".installed"
    if installed.exists() and installed.read_text() == lock.read_text():
        return
    venv.create(_VENV, clear=True, with_pip=True)
    pip = [_VENV / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock]
    subprocess.run(list(map(str, pip)), check=True)
    installed.write_text(lock.read_text())


def _version() -> str:
    program = "import importlib.metadata as m; print(m.version('litellm'))"
    done = subprocess.run(
        [str(_VENV / "bin/python"), "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
