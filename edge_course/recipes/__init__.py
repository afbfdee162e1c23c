"""How the files in ``data/`` are made: each recipe returns file name → content.

`python -m edge_course.data --rebuild` runs them.
"""
