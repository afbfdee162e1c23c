"""Dividing the layers of a network by their channels over several workers."""
