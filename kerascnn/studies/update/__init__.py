"""Updates a run: new images, a new class, corrected labels."""
