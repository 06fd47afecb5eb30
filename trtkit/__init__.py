"""trtkit: from a ModelScope checkpoint to a measured, verified TensorRT engine to a running service."""

__version__ = "0.1.0"
