# SPDX-License-Identifier: Apache-2.0
"""The FID Inception-v3 against torch-fidelity's, which cannot be imported here without torchvision.

Both were given the same seeded weights and pictures once (``benchmarks/scripts/inception_parity.py``, torch-fidelity
0.4.0, torch 2.13): every tap was equal bit by bit. What theirs gave stands below; the tolerance is for other CPUs.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from audit.features.inception import InceptionV3, load
from audit.features.resize import tf1_bilinear
from tests.extractors import save_inception

# By height and width of the pictures and tap: the first three values of the noise, and the norms of noise and slope.
THEIRS = {
    (64, 48): {
        "64": ((0.1387, 0.76861, 1.24762), (6.382, 4.4078)),
        "192": ((0.15885, 0.0, 0.0003), (17.5886, 8.2637)),
        "768": ((0.68375, 0.24204, 0.31008), (49.5738, 27.4836)),
        "2048": ((5.91463, 0.73972, 0.31487), (115.4406, 66.8647)),
        "logits_unbiased": ((7.87655, -7.43451, 0.71568), (114.0766, 65.9648)),
    },
    (512, 640): {
        "64": ((0.25049, 1.0415, 1.59235), (7.5966, 4.4409)),
        "192": ((0.03933, 0.0, 0.0), (18.5244, 8.3073)),
        "768": ((0.47312, 0.19323, 0.3438), (48.1101, 27.5828)),
        "2048": ((5.72238, 0.91991, 0.37483), (112.0437, 67.1693)),
        "logits_unbiased": ((7.45763, -7.12482, 0.68381), (110.7155, 66.2824)),
    },
}


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return load(save_inception(tmp_path_factory.mktemp("inception") / "seeded.pth"), where="test")


@pytest.mark.parametrize("shape", THEIRS)
def test_every_tap_is_that_of_torch_fidelity(network, shape):
    rng = np.random.default_rng(shape[0])
    noise = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    slope = (np.linspace(0, 255, shape[0])[:, None, None] * np.ones((1, shape[1], 3))).astype(np.uint8)
    levels = torch.from_numpy(np.stack([tf1_bilinear(rgb, (299, 299)) for rgb in (noise, slope)]))
    with torch.inference_mode():
        found = {**network.taps(levels), "logits_unbiased": network(levels)[1]}
    for tap, (first, norms) in THEIRS[shape].items():
        np.testing.assert_allclose(found[tap][0, :3].numpy(), first, atol=2e-4, err_msg=tap)
        np.testing.assert_allclose(found[tap].norm(dim=1).numpy(), norms, rtol=2e-5, err_msg=tap)


def test_features_are_the_last_tap_and_logits_have_no_bias(network):
    levels = torch.rand(1, 3, 299, 299, generator=torch.Generator().manual_seed(0)) * 255
    with torch.inference_mode():
        features, logits = network(levels)
        assert torch.equal(features, network.taps(levels)["2048"])
        torch.testing.assert_close(network.fc(features) - network.fc.bias, logits, atol=1e-4, rtol=1e-5)


def test_the_size_of_the_published_network():
    with torch.device("meta"):
        net = InceptionV3()
    state = net.state_dict()
    assert len(state) == 566
    assert sum(p.numel() for p in net.parameters()) == 23_850_960  # 23.85 million
    assert state["Conv2d_1a_3x3.conv.weight"].shape == (32, 3, 3, 3)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    assert state["fc.weight"].shape == (1008, 2048)
    assert sum(isinstance(part, torch.nn.Conv2d) for part in net.modules()) == 94


def test_the_work_for_one_picture():
    with torch.device("meta"):
        net, picture = InceptionV3().eval(), torch.empty(1, 3, 299, 299)
    with FlopCounterMode(display=False) as counter:
        net(picture)
    assert counter.get_total_flops() / 1e9 == pytest.approx(11.42, abs=0.01)
