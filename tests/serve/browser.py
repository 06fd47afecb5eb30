"""A real Chromium, where one is installed: this machine's own, or the one that `playwright install chromium` brings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A playwright Browser. Skips, saying why, where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the 'dev' extra")
    with api.sync_playwright() as playwright:
        found = next((path for name in _NAMES if (path := shutil.which(name))), playwright.chromium.executable_path)
        if not Path(found).exists():
            pytest.skip("no Chromium here; 'apt-get install chromium' or 'playwright install chromium' brings one")
        # Its sandbox does not run as root; WebGL is drawn by the CPU.
        flags = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*flags, *root])
        try:
            yield browser
        finally:
            browser.close()
