"""How `make test` deals the tests out to several processes: a plugin of conftest.py, idle without pytest-xdist."""

from __future__ import annotations

import pytest

LONGEST = (
    "tests/test_readme.py",
    "tests/hub/test_official_chain.py",
    "tests/calib/test_trained.py",
    "tests/export/frozen/",
    "tests/test_workflow.py",
    "tests/models/dct_net/test_export.py",
    "tests/models/dct_net/test_against_tensorflow.py",
    "tests/models/hrn/test_onnx.py",
    "tests/hub/test_official_chain_hrn.py",
    "tests/export/",
    "tests/models/dct_net/test_infer.py",
    "tests/models/hrn/test_parity.py",
    "tests/serve/protocol/",
    "tests/infer/",
    "tests/training/",
    "tests/test_cli_artifacts.py",
    "tests/calib/",
    "tests/serve/",
    "tests/hub/",
    "tests/models/hrn/",
    "tests/models/dct_net/",
    "tests/test_dockerfile.py",
)
"""Files and folders in the order in which they are dealt out, before all others: who is last is to be done soon."""

TOGETHER = ("tests/export/frozen/",)
"""Folders whose files share what takes long to make."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        return next((n for n, path in enumerate(LONGEST) if item.nodeid.startswith(path)), len(LONGEST))

    if hasattr(config, "workerinput"):
        items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests of a file stay in one process, in their order, so that what a file's fixtures make is made once."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((folder for folder in TOGETHER if nodeid.startswith(folder)), nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Scheduler(config, log)
