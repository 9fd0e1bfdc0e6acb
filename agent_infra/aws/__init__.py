"""The building blocks on AWS: one noun, one component, one file."""
