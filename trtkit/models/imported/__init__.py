"""Models whose networks were cut out of a frozen graph: the chain of networks and host work that stands for it."""
