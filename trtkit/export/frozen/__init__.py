"""Frozen TensorFlow graphs: converted, taken apart into static networks and host work, checked against TensorFlow."""
