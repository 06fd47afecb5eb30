"""trtkit's quantizer beside ONNX Runtime's and NVIDIA Model Optimizer's, on the embedded networks."""
