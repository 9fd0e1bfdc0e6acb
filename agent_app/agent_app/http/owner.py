"""Who asks: whose sessions, tasks and budget a request belongs to."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from agent_app.state.tables import ANONYMOUS


async def _owner(request: Request) -> str:
    owner: str = getattr(request.state, "owner", ANONYMOUS)
    return owner


#: The API key's name, or `oidc:` and the token's subject; `anonymous` where authentication is off.
Owner = Annotated[str, Depends(_owner)]
