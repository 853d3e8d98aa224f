"""``python -m scatdask`` is ``scatdask``, for where scripts are not on the search path."""

from scatdask.cli import main

if __name__ == "__main__":
    main(prog_name="scatdask")
