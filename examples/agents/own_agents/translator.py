"""A pydantic-ai agent of one's own: it needs nothing of the service, which gives it its model."""

from __future__ import annotations

from pydantic import BaseModel, Field
from pydantic_ai import Agent


class Translation(BaseModel):
    """A text in English."""

    language: str = Field(description="The language it was in, as an ISO 639-1 code", max_length=2)
    text: str


agent = Agent(output_type=Translation, instructions="Translate the text into English; change nothing else.")
