"""Reinforcement learning: exact solutions, Q-learning, policy gradients, driving, self-play."""
