"""Configuration of the documentation.

    pip install -e ".[docs]"
    sphinx-build -W --keep-going docs docs/_build

Needs no network. With SCATDASK_INTERSPHINX=1 in the environment, names of other projects become
links; that fetches their indexes.
"""

import os

import scatdask

project = "scatdask"
author = "the scatdask developers"
copyright = author
release = version = scatdask.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.intersphinx",
    "numpydoc",
    "myst_nb",
]
exclude_patterns = ["_build", "jupyter_execute"]
# Names in single backticks are links where they name something of ours, else plain code.
default_role = "py:obj"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Every page with code is executed, so that what it shows is what this version does.
nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_show_tb = True  # a cell that fails is a warning, which -W makes an error
nb_merge_streams = True

intersphinx_mapping = {}
if os.environ.get("SCATDASK_INTERSPHINX") == "1":
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "xarray": ("https://docs.xarray.dev/en/stable", None),
        "dask": ("https://docs.dask.org/en/stable", None),
        "distributed": ("https://distributed.dask.org/en/stable", None),
        "zarr": ("https://zarr.readthedocs.io/en/stable", None),
    }

html_theme = "furo"
html_title = f"scatdask {release}"
