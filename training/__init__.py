"""What makes the embedded weights: not part of the package, run from a checkout."""
