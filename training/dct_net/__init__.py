"""The embedded cartoon networks: a classical filter as teacher, pictures, training, evaluation, card."""
