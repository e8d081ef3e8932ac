"""Generative models: autoencoders, VAEs, GANs, topics, outliers, debiasing."""
