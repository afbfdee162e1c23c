"""The parts of a split network at work: processes, messages, links, and what happens to them."""
