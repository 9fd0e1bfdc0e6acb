"""Agents of one's own, as AGENT_APP_AGENTS names them."""
