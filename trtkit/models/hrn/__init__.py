"""3D Face HRN (hierarchical representation network, Lei et al., CVPR 2023): a portrait in, a textured face mesh out."""
