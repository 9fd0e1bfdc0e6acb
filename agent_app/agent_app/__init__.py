"""The agent service: chat with a memory and tasks in the background, over HTTP."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("agent-app")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0"
