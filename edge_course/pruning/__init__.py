"""Removing weights, and cutting whole channels out of a network."""
