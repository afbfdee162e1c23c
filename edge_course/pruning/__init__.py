"""How much weights and channels matter, removing weights, and storing what has zeros."""
