"""The command line, but that a task is one block: the more tasks, the more there is to disturb."""

from __future__ import annotations

from scatdask.archive import plan
from scatdask.cli import main

if __name__ == "__main__":
    plan._TASK_SECONDS = plan._SCHEDULER_SECONDS = 0.0
    main()
