"""Foundations: neurons, descent, backpropagation by hand, regularising, what is memorised."""
