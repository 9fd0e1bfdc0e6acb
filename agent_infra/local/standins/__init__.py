"""Provider stand-ins: what the engine calls in place of the official aws, kubernetes and docker plugins."""
