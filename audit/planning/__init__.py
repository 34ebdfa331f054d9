# SPDX-License-Identifier: Apache-2.0
"""How many images the questions of a policy need, before the first one is asked."""

from audit.planning._needs import Answer, Need, images_in_all, needs
from audit.planning._questions import Question, questions
from audit.planning._sizes import Size, images_needed

__all__ = ["Answer", "Need", "Question", "Size", "images_in_all", "images_needed", "needs", "questions"]
