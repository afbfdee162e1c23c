"""The helper package of a hands-on course on AI at the edge.

Importing it loads no deep-learning framework; each module imports what it needs.
"""

__version__ = "0.1.0"
