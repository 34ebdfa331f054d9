# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from audit import checks
from audit.features import FeatureStore, Identity


def test_how_much_room_stored_features_take(tmp_path, monkeypatch):
    monkeypatch.setenv("GENAUDIT_CACHE", str(tmp_path))
    assert checks._features() == f"0.00 GB of 0 extractors in {tmp_path / 'features'}"
    for name in ("one", "two"):
        store = FeatureStore(Identity(name, weights="", kernel="", scaling=""))
        store.put(["00" * 32, "11" * 32], np.zeros((2, 2_000_000), np.float32))
    (check,) = [check for check in checks.examine() if check.name == "feature store"]
    assert check.ok
    assert check.found == f"0.03 GB of 2 extractors in {tmp_path / 'features'}"
