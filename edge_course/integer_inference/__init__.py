"""An int8 network computed with whole numbers only, to the same bytes as LiteRT."""
