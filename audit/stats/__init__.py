# SPDX-License-Identifier: Apache-2.0
"""Statistics without torch: intervals, annotator error, floors, Frechet distance, Monk tones."""
