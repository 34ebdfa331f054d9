# SPDX-License-Identifier: Apache-2.0
"""Statistics on numpy and scipy alone: intervals, annotator error, floors, Frechet distance, Monk tones, planning."""
