"""The objects that a cluster has before anybody uses it."""
