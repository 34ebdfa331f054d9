# SPDX-License-Identifier: Apache-2.0
"""``python -m audit``: the same command line as ``genaudit``."""

from audit.cli import main

if __name__ == "__main__":
    main()
