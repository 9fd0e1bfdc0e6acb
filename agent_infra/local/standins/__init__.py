"""Provider stand-ins: what the engine calls in place of the official plugins."""
