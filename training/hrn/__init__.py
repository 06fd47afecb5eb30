"""Training of HRN's narrow networks on drawn faces."""
