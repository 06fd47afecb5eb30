"""training/ is no installed package: its tests run from a checkout and need the root on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
