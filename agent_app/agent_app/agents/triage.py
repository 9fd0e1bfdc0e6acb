"""Sorts a support request: its category, its priority and an answer; opens a ticket when one is due."""

from __future__ import annotations

import re
import uuid
from typing import Literal

from pydantic import BaseModel, Field, JsonValue
from pydantic_ai import Agent, RunContext

from agent_app.agents.context import Context

_NAMESPACE = uuid.UUID("6d0bd0f4-6a0c-4bbd-9a0b-0d5a8f1f6f0a")

#: Stands in for a help centre's search: title to answer.
ARTICLES = {
    "Reset a password": "Choose 'Forgot password' on the sign-in page; its link is good for an hour.",
    "Change the plan": "An owner changes the plan under Settings, Billing; it counts from the next day.",
    "Export data": "Settings, Data, Export makes an archive of all that the account holds, within a day.",
    "Status of the service": "The status page shows incidents as they happen; subscribe there.",
    "Two-factor sign-in": "Turn it on under Settings, Security. Its recovery codes are shown once.",
}


class Triage(BaseModel):
    """What becomes of a support request."""

    category: Literal["account", "billing", "bug", "question", "outage", "other"]
    priority: Literal["low", "normal", "high", "urgent"]
    summary: str = Field(max_length=300, description="One sentence, for the colleague who takes it")
    reply: str = Field(max_length=2000, description="What the customer is told now")
    ticket: str | None = Field(None, description="The ticket's number, when one was opened")


agent = Agent[Context, Triage](
    output_type=Triage,
    deps_type=Context,
    name="triage",
    retries=2,
    instructions=(
        "You triage requests to the support team. Look for an answer in the help centre first. Open a ticket "
        "when a person must act: an outage, a bug, money, or an account that cannot be entered; at most one. "
        "Never promise what the help centre does not say."
    ),
)


@agent.tool_plain
def search_help(query: str) -> list[dict[str, str]]:
    """Articles of the help centre that share words with the query, the best first, three at most."""
    wanted = _words(query)
    ranked = sorted(
        ((len(wanted & _words(f"{title} {text}")), title, text) for title, text in ARTICLES.items()),
        reverse=True,
    )
    return [{"title": title, "text": text} for score, title, text in ranked[:3] if score]


def _words(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 2}


@agent.tool
async def open_ticket(ctx: RunContext[Context], title: str, details: str) -> str:
    """Opens a ticket for a person and tells its number; a task that is tried again keeps its first one."""

    async def opened() -> JsonValue:
        # Where your ticketing system is called; the number is the same for the same run, as an idempotency
        # key would make it there.
        number = uuid.uuid5(_NAMESPACE, ctx.deps.run_id or f"{title}\n{details}")
        return {"number": f"T-{number.hex[:10]}", "title": title[:200], "details": details[:2000]}

    ticket = await ctx.deps.step("ticket", opened)
    assert isinstance(ticket, dict)  # noqa: S101 (as `opened` makes it)
    return str(ticket["number"])
