"""Flax Linen networks: batched input, `__call__(x, *, train=False)`, no loss and no optimiser."""

from dljax.nets.actor_critic import ActorCritic
from dljax.nets.conv import CNN
from dljax.nets.mlp import MLP
from dljax.nets.q_network import QNetwork

__all__ = ["CNN", "MLP", "ActorCritic", "QNetwork"]
