"""Cutting a network in two between its layers: where, by which plan, and at what cost."""
