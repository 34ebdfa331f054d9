# SPDX-License-Identifier: Apache-2.0
"""Similarity to enrolled references."""
