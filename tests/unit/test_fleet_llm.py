"""What a fleet says of its language models, and what the service makes of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from agent_app.settings import Settings as ServiceSettings
from agent_app.settings.agents import AgentType as ServiceAgentType
from agent_app.settings.llm import LlmSettings as ServiceLlm
from hypothesis import given
from hypothesis import strategies as st

from agent_infra import AgentFleet, AgentFleetArgs, ArgsError, LlmAccess
from agent_infra.fleet import configuration, llm
from agent_infra.fleet.agents_args import AgentType
from agent_infra.fleet.llm_args import DEFAULT_OUTPUT_TOKENS
from agent_infra.fleet.variables import FIELDS

GPT = "openai:gpt-5-mini"
IMAGE = f"agents@sha256:{64 * '0'}"
CLAUDE = "anthropic:claude-haiku-4-5"
EVERYTHING: dict[str, Any] = {
    "model": GPT,
    "fallback_models": [CLAUDE, "built-in"],
    "embedding_model": "openai:text-embedding-3-small",
    "openai_base_url": "https://llm.example.com/v1",
    "anthropic_base_url": "https://llm.example.com",
    "requests_per_minute": 500,
    "tokens_per_minute": 200_000,
    "limits": {CLAUDE: {"requests_per_minute": 50, "tokens_per_minute": 40_000}},
    "quota": "support",
    "wait_seconds": 12.5,
    "monthly_budget_usd": 1000,
    "monthly_budget_usd_per_key": "0.25",
    "prices": {
        GPT: {"input": 0.25, "output": 2, "cached_input": "0.025"},
        CLAUDE: {"input": "0.000001", "output": 5},
        "openai:text-embedding-3-small": {"input": 0.02, "output": 0},
    },
    "max_prompt_tokens": 50_000,
    "max_output_tokens": 2048,
    "timeout": 45,
    "attempts": 2,
    "backoff_seconds": 0.25,
    "backoff_limit": 10,
    "breaker_failures": 3,
    "breaker_seconds": 30,
    "response_cache_seconds": 600,
    "semantic_cache_similarity": 0.95,
    "embedding_cache_seconds": 0,
}


def read_by_the_service(variables: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return ServiceSettings.load()


def test_the_service_reads_exactly_what_the_fleet_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = LlmAccess.model_validate(EVERYTHING)
    assert set(EVERYTHING) == set(LlmAccess.model_fields), "a field is not tried here"
    read = read_by_the_service(llm.variables(said), monkeypatch)
    assert (read.model, read.fallback_models) == (GPT, (CLAUDE, "built-in"))
    assert read.embedding_model == "openai:text-embedding-3-small"
    assert read.openai_base_url is not None
    assert read.openai_base_url.get_secret_value() == "https://llm.example.com/v1"
    assert read.anthropic_base_url is not None
    assert (read.llm_requests_per_minute, read.llm_tokens_per_minute) == (500, 200_000)
    assert read.llm_limits[CLAUDE].tokens_per_minute == 40_000
    assert read.llm_quota == "support"
    assert read.llm_wait_seconds == 12.5
    assert (read.monthly_budget_usd, read.monthly_budget_usd_per_key) == (Decimal(1000), Decimal("0.25"))
    assert read.model_prices[GPT].cached_input == Decimal("0.025")
    assert read.model_prices[CLAUDE].input == Decimal("0.000001")
    assert (read.max_prompt_tokens, read.max_output_tokens) == (50_000, 2048)
    assert (read.model_timeout, read.model_attempts) == (45, 2)
    assert (read.model_backoff_seconds, read.model_backoff_limit) == (0.25, 10)
    assert (read.breaker_failures, read.breaker_seconds) == (3, 30)
    assert (read.response_cache_seconds, read.semantic_cache_similarity) == (600, 0.95)
    assert read.embedding_cache_seconds == 0


def test_every_setting_of_models_that_the_service_has_can_be_said_of_a_fleet() -> None:
    own = {
        field.validation_alias or f"AGENT_APP_{name.upper()}"
        for name, field in ServiceLlm.model_fields.items()
    }
    keys = {"AGENT_APP_LLM_SECRET_ARN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "LLM_API_KEY"}
    assert set(llm.VARIABLES.values()) == own - keys
    assert set(llm.VARIABLES) == set(LlmAccess.model_fields)


def test_the_longest_answer_is_taken_for_what_the_service_has_by_default() -> None:
    assert ServiceLlm.model_fields["max_output_tokens"].default == DEFAULT_OUTPUT_TOKENS


def test_what_is_not_said_is_left_to_the_service() -> None:
    assert llm.variables(LlmAccess()) == {}


def test_a_fleets_pods_are_told_of_its_models() -> None:
    args = AgentFleetArgs(image=IMAGE, llm={"model": GPT, "requests_per_minute": 60}, cache=CACHE)
    values = configuration.values(args, fleet="support", environment="dev")
    assert (values["AGENT_APP_MODEL"], values["AGENT_APP_LLM_REQUESTS_PER_MINUTE"]) == (GPT, "60")


CACHE = {"url": "rediss://redis.example.com"}


@given(
    st.decimals(min_value=Decimal("0.000001"), max_value=10**9, places=6),
    st.decimals(min_value=0, max_value=10**6, places=8),
)
def test_no_cent_is_lost_on_the_way_to_the_service(budget: Decimal, price: Decimal) -> None:
    said = LlmAccess(monthly_budget_usd=budget, prices={GPT: {"input": price, "output": price}})
    variables = llm.variables(said)
    read = ServiceSettings.model_validate(
        {
            "monthly_budget_usd": variables["AGENT_APP_MONTHLY_BUDGET_USD"],
            "model_prices": variables["AGENT_APP_MODEL_PRICES"],
        }
    )
    assert read.monthly_budget_usd == budget
    assert read.model_prices[GPT].input == price


OWN = {"openai_base_url": "https://llm.example.com/v1"}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"model": "mistral:large"}, r"llm\.model: 'mistral:large' is wrong: say openai:<model>"),
        ({"limits": {"gpt-5-mini": {"requests_per_minute": 5}}}, "say the vendor too, such as openai:gpt"),
        ({"requests_per_minute": 0}, r"llm\.requests_per_minute: 0 is wrong: .*greater than or equal to 1"),
        ({"limits": {GPT: {"tokens_per_minute": 0}}}, "0 is wrong: .*greater than or equal to 1"),
        ({"limits": {GPT: {}}}, f"limits.{GPT} is empty, and would lift every limit"),
        ({"model": GPT, "fallback_models": [GPT]}, "which is `model` itself; leave it out there"),
        ({"model": "gpt-5-mini", "fallback_models": [GPT]}, "which is `model` itself"),
        ({"fallback_models": [CLAUDE, CLAUDE]}, "names a model twice"),
        (
            {"tokens_per_minute": 4096},
            r"4096 lets no call through: .* max_output_tokens 4096 \(the service's",
        ),
        (
            {"tokens_per_minute": 1000, "max_output_tokens": 1000},
            "lower max_output_tokens below 1000, or raise tokens_per_minute",
        ),
        (
            {"limits": {GPT: {"tokens_per_minute": 100}}},
            f"limits.{GPT}.tokens_per_minute 100 lets no call through",
        ),
        ({"semantic_cache_similarity": 0.9}, "add `embedding_model: openai:text-embedding-3-small`"),
        ({"monthly_budget_usd": 0}, "greater than 0"),
        ({"monthly_budget_usd": 5, "monthly_budget_usd_per_key": 6}, "which ends before it; lower the one"),
        (
            {**OWN, "model": "openai:llama", "monthly_budget_usd": 5},
            r"nobody knows the price of openai:llama; add `prices: \{openai:llama: \{input: ",
        ),
        (
            {**OWN, "model": GPT, "embedding_model": "openai:e", "monthly_budget_usd_per_key": 5},
            f"monthly_budget_usd_per_key cannot be kept: .* the price of {GPT}, openai:e;",
        ),
        ({"attempts": 21}, "less than or equal to 20"),
    ],
)
def test_what_is_impossible_is_refused_with_the_way_out(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgsError, match=problem):
        AgentFleet("support", {"image": IMAGE, "llm": said})


@pytest.mark.parametrize(
    "said",
    [
        {"model": GPT, "monthly_budget_usd": 5},
        {**OWN, "model": CLAUDE, "monthly_budget_usd": 5},
        {"openai_base_url": "https://eu.api.openai.com/v1", "model": GPT, "monthly_budget_usd": 5},
        {**OWN, "model": "built-in", "monthly_budget_usd": 5},
        {"tokens_per_minute": 4097},
        {"tokens_per_minute": 101, "max_output_tokens": 100},
    ],
)
def test_what_is_possible_is_accepted(said: dict[str, Any]) -> None:
    LlmAccess.model_validate(said)


@pytest.mark.parametrize(
    "url", ["https://me:sk-hidden@llm.example.com", "https://h/v1?key=sk-hidden", "sk-hidden"]
)
def test_an_address_with_a_key_in_it_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ArgsError, match="a key belongs into the LLM secret") as raised:
        AgentFleet("support", {"image": IMAGE, "llm": {"openai_base_url": url}})
    assert "sk-hidden" not in str(raised.value)


def test_a_models_own_limits_replace_those_of_each() -> None:
    said = LlmAccess(requests_per_minute=60, limits={GPT: {"tokens_per_minute": 9000}})
    assert said.limits_of(None).requests_per_minute == 60
    assert said.limits_of(GPT).requests_per_minute is None
    assert said.limits_of(CLAUDE).requests_per_minute == 60


AGENTS: dict[str, Any] = {
    "writer": {"agent": "own_agents.writer:agent", "description": "Writes.", "model": CLAUDE, "timeout": 60},
    "editor": {
        "agent": "own_agents.editor:agent",
        "concurrency": 3,
        "max_attempts": 2,
        "retry_seconds": 5,
        "response_cache_seconds": 0,
        "monthly_budget_usd": "12.50",
    },
}


def test_the_service_runs_exactly_the_agent_types_that_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    args = AgentFleetArgs(
        image=IMAGE,
        agents=AGENTS,
        default_agent="editor",
        requests_per_minute=90,
        usage_readers=["ops", "oidc:ada"],
        cache=CACHE,
        database=DATABASE,
    )
    read = read_by_the_service(configuration.values(args, fleet="support", environment="dev"), monkeypatch)
    assert list(read.agents) == ["editor", "writer"], "the first is the default"
    assert read.agents["writer"].agent == "own_agents.writer:agent"
    assert (read.agents["writer"].model, read.agents["writer"].timeout) == (CLAUDE, 60)
    editor = read.agents["editor"]
    assert (editor.concurrency, editor.max_attempts, editor.retry_seconds) == (3, 2, 5)
    assert (editor.response_cache_seconds, editor.monthly_budget_usd) == (0, Decimal("12.50"))
    assert (read.requests_per_minute, read.usage_readers) == (90, ("ops", "oidc:ada"))


def test_every_setting_of_an_agent_type_but_a_queue_of_its_own_can_be_said() -> None:
    own_queue = {"queue_url", "dead_letter_url"}
    assert set(AgentType.model_fields) == set(ServiceAgentType.model_fields) - own_queue


DATABASE = {"url": "postgresql://postgres.example.com/agents"}
QUEUE = {"url": "https://sqs/q", "arn": "arn:aws:sqs:eu-central-1:123456789012:q"}


def agents(**more: Any) -> dict[str, Any]:
    return {"agents": {"writer": {"agent": "own:writer", **more}}}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            agents(agent="own.writer"),
            r"agents\.writer\.agent: 'own.writer' is wrong: say a module and what is",
        ),
        ({"agents": {"a b": {"agent": "a:b"}}}, "say up to 63 letters"),
        (
            {**agents(timeout=400), "task_timeout": 300},
            "agents.writer.timeout 400 is above task_timeout 300, .*raise task_timeout to 400",
        ),
        ({**agents(), "default_agent": "editor"}, r"default_agent editor is none of `agents` \(writer\)"),
        (
            {**agents(max_attempts=6), "queue": QUEUE},
            "max_attempts 6 is above the queue's max_receives 5, after which SQS hands a task out no more",
        ),
        (
            {**agents(monthly_budget_usd=20), "llm": {"monthly_budget_usd": 10}, "database": DATABASE},
            "agents.writer.monthly_budget_usd 20 is above the fleet's llm.monthly_budget_usd 10",
        ),
        (
            {**agents(monthly_budget_usd=20, model="openai:llama"), "llm": OWN, "database": DATABASE},
            "the price of openai:llama; add `llm.prices:",
        ),
        (
            {**agents(model="openai:llama"), "llm": {**OWN, "monthly_budget_usd": 5}, "database": DATABASE},
            "llm.monthly_budget_usd cannot be kept: .* the price of openai:llama",
        ),
        ({"llm": {"timeout": 61}, "task_timeout": 60}, "llm.timeout 61 of one call is above task_timeout 60"),
        (
            {"llm": {"requests_per_minute": 60}},
            "llm.requests_per_minute would hold in each of 10 processes alone, because there is no `cache`",
        ),
        ({"requests_per_minute": 60}, "requests_per_minute would hold in each of 10 processes alone"),
        (
            {"llm": {"monthly_budget_usd": 60}},
            "llm.monthly_budget_usd would hold in each of 10 processes alone, because there is no `database`",
        ),
        (
            {**agents(), "extra_environment": {"AGENT_APP_AGENTS": "{}"}},
            "AGENT_APP_AGENTS is what `agents` says; say it in one of the two",
        ),
        (
            {"extra_environment": {"AGENT_APP_MODEL": GPT, "OPENAI_BASE_URL": "https://a"}},
            "AGENT_APP_MODEL is what `llm.model` says; say it there; and OPENAI_BASE_URL is what `llm.open",
        ),
        ({"usage_readers": ["a,b"]}, "say one name without a comma"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_way_out(said: dict[str, Any], problem: str) -> None:
    with pytest.raises(ArgsError, match=problem):
        AgentFleet("support", {"image": IMAGE, **said})


def test_one_process_needs_nothing_to_count_in() -> None:
    alone = {"min": 1, "max": 1}
    AgentFleetArgs(image=IMAGE, replicas=alone, llm={"requests_per_minute": 60, "monthly_budget_usd": 5})


@pytest.mark.parametrize(
    "variable",
    [
        "OPENAI_API_KEY",
        "LLM_API_KEY",
        "APIKEY",
        "GITHUB_TOKEN",
        "TOKEN",
        "DB_PASSWORD",
        "aws_secret_access_key",
        "CLIENT_SECRET",
        "TLS_PRIVATE_KEY",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    ],
)
def test_a_secret_in_a_plain_variable_is_refused_and_not_repeated(variable: str) -> None:
    with pytest.raises(ArgsError, match=f"{variable} may hold a secret, .*`synced_secrets`") as raised:
        AgentFleet("support", {"image": IMAGE, "extra_environment": {variable: "sk-hidden"}})
    assert "sk-hidden" not in str(raised.value)


def test_a_login_in_a_variables_address_is_refused_and_not_repeated() -> None:
    variables = {"CRM": "https://me:sk-hidden@crm.example.com"}
    with pytest.raises(ArgsError, match="CRM may hold a secret") as raised:
        AgentFleet("support", {"image": IMAGE, "extra_environment": variables})
    assert "sk-hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "variable", ["AGENT_APP_HISTORY_TOKENS", "TOKEN_URL", "SECRET_NAME", "PASSWORD_POLICY", "KEYBOARD"]
)
def test_names_that_only_sound_like_a_secret_are_taken(variable: str) -> None:
    assert AgentFleetArgs(image=IMAGE, extra_environment={variable: "x"}).extra_environment


def test_every_variable_that_a_field_says_is_refused_among_ones_own_but_those_of_the_contract() -> None:
    args = AgentFleetArgs.model_validate(
        {
            "image": IMAGE,
            "llm": {**EVERYTHING},
            "agents": AGENTS,
            "requests_per_minute": 1,
            "usage_readers": ["a"],
            "cache": {**CACHE, "secret_arn": "arn:a"},
            "database": {**DATABASE, "secret_arn": "arn:b", "pool_size": 1},
            "queue": {**QUEUE, "dead_letter_url": "https://sqs/d", "dead_letter_arn": "arn:d"},
            "bucket": {"name": "b", "arn": "arn:b"},
            "llm_secret_arn": "arn:l",
            "api_keys_secret_arn": "arn:k",
            "oidc": {"issuer": "https://a", "audience": "b", "owner_claim": "c", "scope": "d"},
            "region": "eu-central-1",
        }
    )
    emitted = set(configuration.values(args, fleet="support", environment="dev"))
    of_the_contract = {"TASK_TIMEOUT", "DRAIN_SECONDS", "VISIBILITY_SECONDS", "AGENTS", "HOST"}
    assert emitted - {f"AGENT_APP_{name}" for name in of_the_contract} <= set(FIELDS)
