"""Faces → files: coefficients, textures, meshes, and a picture of them from several sides."""
