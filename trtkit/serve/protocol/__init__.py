"""The Open Inference Protocol v2 over HTTP, with Triton's binary tensor extension.

Every network behind its batcher is a model of the protocol, and so is each pipeline (picture files in, picture files
out), under the names that `trtkit package triton` gives them: a client of one server is a client of the other.
"""
