"""The parts of a split network at work: processes, messages, links, and what happens to them.

`part` runs a part; `node` serves one in a process; `client` asks it, with a deadline, and has the
fallback for when it is late or gone; `wire` is their messages, `transport` carries them, `link` is
a slow way between them; `addresses` says where they are.
"""
