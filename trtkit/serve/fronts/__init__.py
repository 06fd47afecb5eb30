"""A server of several processes: fronts that do the host work, and the hub that has the networks.

One process's host work ends at Python's lock, however many cores there are. Each front is a whole HTTP server on the
one socket that all of them accept from; in the place of its networks it has proxies (remote_network.py), which send
each run to the hub (hub.py) over a socket of their own, the tensors in shared memory (memory.py); the hub's side of
that is request_handler.py. So there is one process on the GPU, with one copy of the weights and batches of everybody's
requests.

What bounds the server as a whole is counted in memory that all processes share (shared_gauges.py); what it has done is
gathered from all of them when one is asked (aggregation.py). Nothing of it has a name that could stay behind: it goes
with the last process that has it open.
"""
