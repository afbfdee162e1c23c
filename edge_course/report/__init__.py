"""What a model file is and does: its contents, its speed, its answers; as text and as a page."""
