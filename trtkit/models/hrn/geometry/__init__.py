"""From coefficients to a posed, lit, detailed mesh: arrays in, arrays out, NumPy alone. Batches come first."""
