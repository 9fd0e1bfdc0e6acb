"""The agent that answers when nobody named another."""

from agent_app.agents.conversation import Conversation

agent = Conversation("You are a helpful assistant. Answer briefly and say so when you do not know.")
