"""From the bytes of a file to the uint8 array that a network takes."""
