"""FP16 networks of convolutions and what stands between them, on the `cuda` backend: ONNX Runtime's convolutions and
kernels of our own.

ONNX Runtime has no fusion in half precision: bias, activation, joining, pooling and resizing are a pass over memory
each, and together take longer than the convolutions. Here all that stands between two convolutions is one kernel,
written for it and compiled when the network is loaded.

    network.py       the ONNX graph as values that are made of each other (values.py)   a Network
    schedule.py      which values lie in memory, and what makes them, in which order    a Schedule
    source.py        the kernels' CUDA C                                                a Kernel each
    memory.py        where each buffer lies in the one piece of memory that they share
    convolutions.py  every convolution in one session of ONNX Runtime
    program.py       all of it on one device, bound to shapes and run

A network with anything else in it is refused by name (Unfused) and runs as ort_form.py has it.
"""
