"""One answer from many nodes: a small model at each sensor, and one that combines them.

`cleaning` mends a recording where it is made, `forecaster` makes and runs a node's small model,
`weights` says how much each node counts, `station` and `archive` are processes of their own, and
`panel` asks all stations and answers from those that are there.
"""
