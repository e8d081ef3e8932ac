"""Environments as pure functions: gymnax's and our own by name, and such with known arrays."""

from dljax.envs.environment import Box, Environment, Step, make, names

__all__ = ["Box", "Environment", "Step", "make", "names"]
