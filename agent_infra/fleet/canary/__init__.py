"""A canary without a controller: `up` itself runs it, judges it, and goes back."""
