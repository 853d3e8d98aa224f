"""The xarray side: what an axis says about sampling, and the labels of a result."""

from scatdask.labels.attributes import edge_affected, output_attrs
from scatdask.labels.axis import Sampling, sampling, samplings
from scatdask.labels.choice import choose
from scatdask.labels.coords import output_coords
from scatdask.labels.dims import as_dims, check_dims, check_sizes
from scatdask.labels.faults import STEP_TOLERANCE
from scatdask.labels.names import (
    QUANTILE,
    check_names,
    describe_taken,
    output_names,
    statistic_name,
    taken_names,
)
from scatdask.labels.output import assemble, assemble_dataset
from scatdask.labels.spacing import Spacing, common_spacing

__all__ = [
    "QUANTILE",
    "STEP_TOLERANCE",
    "Sampling",
    "Spacing",
    "as_dims",
    "assemble",
    "assemble_dataset",
    "check_dims",
    "check_names",
    "check_sizes",
    "choose",
    "common_spacing",
    "describe_taken",
    "edge_affected",
    "output_attrs",
    "output_coords",
    "output_names",
    "sampling",
    "samplings",
    "statistic_name",
    "taken_names",
]
