"""Official checkpoints: what a model's snapshot is, where it lies, and how it gets there."""
