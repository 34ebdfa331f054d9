# SPDX-License-Identifier: Apache-2.0
"""All benchmarks: ``make bench``."""

from benchmarks._measure import report
from benchmarks.frechet import cases

for case in cases():
    for line in report(case):
        print(line, flush=True)
