"""The static networks of HRN, one file each, with the official parameter names. Every module here needs torch."""
