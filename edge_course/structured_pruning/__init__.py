"""Cutting whole channels out of a network: a smaller dense network."""
