"""What a network costs on hardware that is not here: roofline, radios, placement; NumPy only."""
