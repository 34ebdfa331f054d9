# SPDX-License-Identifier: Apache-2.0
"""Speed against named peers, side by side in one process: median and spread of ratios. ``python -m benchmarks``."""
