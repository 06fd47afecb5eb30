"""The embedded matting network: procedural people over varied backgrounds, training, evaluation, card."""
