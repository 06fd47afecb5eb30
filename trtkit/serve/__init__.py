"""The pipelines over HTTP: batched, bounded, observed. Nothing here runs a network in a way of its own.

A request's picture goes through its pipeline's `prepare` and `finish` in a bounded pool of host threads; between them
`run` calls networks that stand behind a batcher each (batcher.py), where the runs of several requests become one.
"""
