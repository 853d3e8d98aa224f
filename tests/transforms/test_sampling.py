import pytest

from scatdask import HarmonicScattering3D, Scattering2D
from scatdask.transforms.sampling import as_sampling, check_sides

IMAGE = {"default": "space", "signal": "image"}


def test_filters_as_long_as_a_signal_ask_for_a_periodic_one():
    assert as_sampling(None, "reflect", **IMAGE) == "space"
    assert as_sampling("frequency", "periodic", **IMAGE) == "frequency"
    assert as_sampling("frequency", "reflect", **IMAGE, are_short=True) == "frequency"
    for boundary in ("reflect", ("periodic", "zero")):
        with pytest.raises(ValueError, match=r"as long as the image, which must then be periodic"):
            as_sampling("frequency", boundary, **IMAGE)
    with pytest.raises(ValueError, match=r"^sampling must be one of 'space', 'frequency', got 'x'"):
        as_sampling("x", "periodic", **IMAGE)


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        (Scattering2D(2, boundary="periodic"), (16, 18)),
        (HarmonicScattering3D(2, method="local", sampling="frequency"), (16, 18, 16)),
    ],
)
def test_sides_are_multiples_of_the_stride_where_filters_see_all(transform, shape):
    message = r"sides of the thing must be multiples of stride=4, but core axis 1 has 18 samples"
    with pytest.raises(ValueError, match=message):
        check_sides(transform, shape, "thing")
    with pytest.raises(ValueError, match=r"multiples of stride=4, but core axis 1 has 18 samples"):
        transform.check_shape(shape)
    check_sides(transform, (16,) * len(shape), "thing")


def test_sides_of_other_signals_are_free():
    check_sides(Scattering2D(2), (16, 18), "image")
