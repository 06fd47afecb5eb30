"""A made-up face model in the official formats, for tests and for machines without the licensed one.

It was measured on nobody: a face of formulas, smooth bases, invented colours. Its files say so, and so does whatever
is made with it.
"""
