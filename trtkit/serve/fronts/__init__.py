"""A server of several processes: fronts that do the host work, and the hub that has the networks.

One process's host work ends at Python's lock, however many cores there are. Each front is a whole HTTP server on the
one socket that all of them accept from; in the place of its networks it has stand-ins (stand_in.py), which hand each
run to the hub (hub.py) over a socket of their own, the tensors in shared memory (memory.py). So there is one process on
the GPU, with one copy of the weights and batches of everybody's requests.

What bounds the server as a whole is counted in memory that all processes share (board.py). Nothing of it has a name
that could stay behind: it goes with the last process that has it open.
"""
