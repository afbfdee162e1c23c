"""Networks: definitions, trained weights, training loops, and their arithmetic by hand."""

SEED_CNN_WEIGHTS = "seed_cnn.safetensors"  # in data/, trained in Keras
DEPTHWISE_CNN_WEIGHTS = "depthwise_cnn.safetensors"  # in data/, trained in PyTorch
DEPTHWISE_CONTROLS = "depthwise_controls.npz"  # in data/, both networks trained alike
