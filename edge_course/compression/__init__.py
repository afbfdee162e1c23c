"""Everything combined: one small int8 file, what it costs, and whether that keeps a budget."""
