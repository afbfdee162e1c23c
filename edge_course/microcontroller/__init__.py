"""An int8 network on a microcontroller: its memory, its C, its firmware."""
