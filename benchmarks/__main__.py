# SPDX-License-Identifier: Apache-2.0
"""All benchmarks of speed: ``make bench``."""

import sys

from benchmarks.quality import main

sys.exit(main(sys.argv[1:]))
