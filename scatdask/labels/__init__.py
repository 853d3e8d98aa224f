"""The xarray side: what an axis says about sampling, and the labels of a result."""

from scatdask.labels.attributes import edge_affected, output_attrs
from scatdask.labels.axis import Sampling, sampling
from scatdask.labels.choice import choose
from scatdask.labels.coords import output_coords, output_names
from scatdask.labels.faults import STEP_TOLERANCE
from scatdask.labels.output import assemble, assemble_dataset

__all__ = [
    "STEP_TOLERANCE",
    "Sampling",
    "assemble",
    "assemble_dataset",
    "choose",
    "edge_affected",
    "output_attrs",
    "output_coords",
    "output_names",
    "sampling",
]
