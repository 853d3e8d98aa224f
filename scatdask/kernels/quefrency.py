"""Wavelets along the frequency axis of a plane: matrix products, modulus, average.

The axis is short, and at its ends stand zeros that need not be transformed: small matrices beat
FFTs. A wavelet and its mirror image, whose taps are conjugate, share the products.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scatdask.arrays import AnyArray, Scratch, array_namespace, batch_bytes, from_numpy, matmul
from scatdask.arrays.products import moduli_of_sums, real_matrix, real_product
from scatdask.transforms.cost_joint import columns_at_once
from scatdask.transforms.planes import Plane, Strip
from scatdask.transforms.time_frequency import TimeFrequencyScattering


@dataclass(frozen=True)
class End:
    """What becomes of the modulus of one spin.

    Attributes
    ----------
    strip : Strip
    sign : int
        1 for the wavelet itself, -1 for its mirror image.
    average : array or None, shape (places, m)
        None where the moduli are the outputs.
    """

    strip: Strip
    sign: int
    average: AnyArray | None


@dataclass(frozen=True)
class FrequencyFilter:
    """A wavelet along frequency, sampled for one plane.

    Attributes
    ----------
    real, imag : array, shape (m, n_rows)
        What each first-order wavelet gives to each of the m places. None for the imaginary part
        of a low-pass.
    ends : tuple of End
    at_once : int
        Columns of a plane such that what is done with them stays in the cache.
    """

    real: AnyArray
    imag: AnyArray | None
    ends: tuple[End, ...]
    at_once: int

    def __call__(self, plane: AnyArray, scratch: Scratch) -> Iterator[tuple[End, AnyArray]]:
        """Yield each end with its outputs, shape (places, columns).

        Parameters
        ----------
        plane : complex array, shape (n_rows, columns)
            Columns are samples in time, of any number of signals.
        scratch : Scratch
        """
        xp = array_namespace(plane)
        parts: list[list[AnyArray]] = [[] for _ in self.ends]
        for start in range(0, plane.shape[1], self.at_once):
            z = plane[:, start : min(start + self.at_once, plane.shape[1])]
            moduli = self._moduli(z, scratch)
            for end, values, part in zip(self.ends, moduli, parts, strict=True):
                if end.average is None:  # a buffer, which the next columns overwrite
                    part.append(xp.astype(values, values.dtype))
                else:
                    part.append(matmul(end.average, values))
        for end, part in zip(self.ends, parts, strict=True):
            values = part[0] if len(part) == 1 else xp.concat(part, axis=1)
            part.clear()
            yield end, values

    def _moduli(self, z: AnyArray, scratch: Scratch) -> list[AnyArray]:
        """Return the modulus for each end, shape (m, columns), in buffers."""
        product = real_product(self.real, z, scratch, "real")
        if self.imag is None:
            return [scratch.modulus("modulus 0", product)]
        turned = real_product(self.imag, 1j * z, scratch, "imag")
        return moduli_of_sums(product, turned, [end.sign for end in self.ends], scratch)


def sample_frequency_filters(
    transform: TimeFrequencyScattering, plane: Plane, *, like: AnyArray
) -> tuple[FrequencyFilter, ...]:
    """Sample what a plane's strips need.

    Parameters
    ----------
    transform : TimeFrequencyScattering
    plane : Plane
    like : array
        Where the values are to live.
    """
    axis, dtype = transform.axis, transform.dtype
    strips = {strip.n_fr: strip for strip in plane.strips}
    filters = []
    for n_fr, strip in strips.items():
        if n_fr > axis.n_pairs and _twin(transform, strips, n_fr - axis.n_pairs) is strip:
            continue  # sampled with its twin
        twin = _twin(transform, strips, n_fr)
        at = axis.moduli_at(n_fr, strip.places, plane.n_rows, dtype)
        matrix, average = axis.matrix(n_fr, at, plane.n_rows), axis.average(n_fr, strip.places, at)
        if average is not None:
            average = from_numpy(average.astype(dtype), like=like)
        ends = (End(strip, 1, average), *((End(twin, -1, average),) if twin else ()))
        imag = real_matrix(matrix.imag.astype(dtype), like=like) if n_fr else None
        real = real_matrix(matrix.real.astype(dtype), like=like)
        size = columns_at_once(len(at), batch_bytes(like), dtype)
        filters.append(FrequencyFilter(real, imag, ends, size))
    return tuple(filters)


def _twin(transform: TimeFrequencyScattering, strips: dict[int, Strip], n_fr: int) -> Strip | None:
    """Return the strip of opposite spin that shares the products of a wavelet, if there is one."""
    axis = transform.axis
    if not 0 < n_fr <= axis.n_pairs or n_fr not in strips:
        return None
    twin = strips.get(n_fr + axis.n_pairs)
    if twin is None or twin.places != strips[n_fr].places:
        return None
    return twin if axis.are_mirrored(n_fr, transform.dtype) else None
