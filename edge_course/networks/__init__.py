"""The networks of the course in Keras, PyTorch and NumPy, and how they are trained."""
