"""Language models that predict the next symbol of a text.

`bits` measures them, `ngram` counts, `lstm` computes one step in NumPy, `torch_lstm` trains,
`litert_lstm` is the step as a file that runs with its state outside.
"""
