# SPDX-License-Identifier: Apache-2.0
"""How pictures are drawn, from seed to seed."""
