# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from audit.config import AuditConfig
from audit.registry import ANNOTATORS
from audit.runs.instruments import annotator_options

FEATURES = ("clip", "dinov2", "inception", "sscd", "vision")


def config(**more):
    return AuditConfig(generators=[{"name": "g", "kind": "renderer"}], probes=[{"set": "portraits"}], **more)


@pytest.mark.parametrize("name", FEATURES)
def test_the_reference_of_the_audit_is_that_of_every_feature_instrument(name):
    assert name in ANNOTATORS
    asked = config(reference={"images": "stats.npz", "n": 500})
    assert annotator_options(name, asked)["reference"] == {"images": "stats.npz", "n": 500}
    assert annotator_options(name, config(reference=None))["reference"] is None


def test_an_instrument_may_have_its_own():
    own = {"inception": {"reference": {"images": "fid.npz"}, "training": {"images": "train"}}}
    asked = config(instruments={"options": own})
    assert annotator_options("inception", asked) == own["inception"]
    assert annotator_options("clip", asked)["reference"]["images"] == "reference:renderer"
    assert "reference" not in annotator_options("faults", asked)
