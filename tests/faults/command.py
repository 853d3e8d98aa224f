"""The command line, but that a task is one block, and commits to repositories come every second.

The more there are of both, the more there is to disturb.
"""

from __future__ import annotations

from scatdask.archive import commits, plan
from scatdask.cli import main

if __name__ == "__main__":
    plan._TASK_SECONDS = plan._SCHEDULER_SECONDS = 0.0
    commits._LEAST_SECONDS, commits._SHARE_OF_COMMITS = 1.0, 1.0
    main()
