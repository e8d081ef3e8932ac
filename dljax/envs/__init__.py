"""Environments as pure functions: gymnax's by name, and our own with known arrays."""

from dljax.envs.environment import Box, Environment, Step, make, names

__all__ = ["Box", "Environment", "Step", "make", "names"]
