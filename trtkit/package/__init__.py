"""From artifacts to what another server serves: a Triton model repository."""
