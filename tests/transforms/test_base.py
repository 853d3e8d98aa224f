import dataclasses
import hashlib
import json
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import scatdask.transforms.base as base
from scatdask import (
    HarmonicScattering3D,
    Scattering1D,
    Scattering2D,
    TimeFrequencyScattering,
)
from scatdask.transforms import Output, Transform

VARIANTS: list[dict[str, Any]] = [
    {"J": 9},
    {"Q": 4},
    {"Q": (8, 2)},
    {"T": 512},
    {"T": 0},
    {"T": "global"},
    {"stride": 64},
    {"max_order": 1},
    {"boundary": "periodic"},
    {"dtype": "float64"},
    {"tolerance": 1e-5},
]


def test_outputs_count_samples_at_multiples_of_their_stride():
    for n in range(1, 40):
        assert Output((0,), 8).n_out(n) == len(range(0, n, 8))
        assert Output((0,), None).n_out(n) == 1


def test_transforms_compare_by_value():
    assert Scattering1D(8, Q=8) == Scattering1D(J=8, Q=(8, 1), T=256, stride=256)
    assert hash(Scattering1D(8, Q=8)) == hash(Scattering1D(J=8, Q=(8, 1), T=256))
    different = {Scattering1D(**{"J": 8, "Q": 8, **variant}) for variant in VARIANTS}
    assert len(different | {Scattering1D(8, Q=8)}) == len(VARIANTS) + 1


@pytest.mark.parametrize(
    ("smaller", "larger", "derived"),
    [
        (Scattering1D(5), Scattering1D(6), ("T", "stride")),
        (Scattering2D(3), Scattering2D(4), ("stride",)),
        (
            HarmonicScattering3D(1, method="local"),
            HarmonicScattering3D(2, method="local"),
            ("stride",),
        ),
        (
            TimeFrequencyScattering(5, J_fr=2),
            TimeFrequencyScattering(6, J_fr=2),
            ("T", "stride"),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_was_left_out_is_kept_unless_it_is_left_out_again(smaller, larger, derived):
    kept = dataclasses.replace(smaller, J=larger.J)
    assert [getattr(kept, key) for key in derived] == [getattr(smaller, key) for key in derived]
    assert dataclasses.replace(smaller, J=larger.J, **dict.fromkeys(derived)) == larger


def test_transforms_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Scattering1D(8).J = 9  # type: ignore[misc]


def test_a_pickle_is_small_and_carries_no_derived_tables():
    transform = Scattering1D(10, Q=(12, 2))
    before = pickle.dumps(transform)
    transform.paths()
    assert transform.halo
    assert transform.outputs
    after = pickle.dumps(transform)
    assert after == before
    assert len(after) < 500
    copy = pickle.loads(after)
    assert copy == transform
    assert copy.n_paths == transform.n_paths


def test_parameters_make_the_same_transform_again():
    for variant in VARIANTS:
        transform = Scattering1D(**{"J": 8, "Q": 8, **variant})
        stored = json.loads(json.dumps(transform.parameters()))
        assert Scattering1D(**stored) == transform


def test_fingerprint_is_the_same_in_every_process():
    # A change here makes every archive written so far a stranger: raise NUMERICS on purpose only.
    golden = "3fa84a4752edd4a4dc2ede9d42850b79f022b730d1e6217e7ead294ebc21e6ef"
    assert Scattering1D(10, Q=8).fingerprint() == golden


def test_fingerprint_is_a_sha256_of_canonical_json():
    transform = Scattering1D(4)
    record = {
        "transform": "scattering1d",
        "numerics": base.NUMERICS,
        "J": 4,
        "Q": [1, 1],
        "T": 16,
        "stride": 16,
        "max_order": 2,
        "boundary": "reflect",
        "dtype": "float32",
        "tolerance": 1e-6,
    }
    text = json.dumps(record, sort_keys=True)
    assert transform.fingerprint() == hashlib.sha256(text.encode()).hexdigest()


def test_fingerprint_differs_for_each_parameter():
    fingerprints = [Scattering1D(8, Q=8).fingerprint()]
    fingerprints += [
        Scattering1D(**{"J": 8, "Q": 8, **variant}).fingerprint() for variant in VARIANTS
    ]
    assert len(set(fingerprints)) == len(fingerprints)


def test_fingerprint_differs_for_new_numerics(monkeypatch):
    before = Scattering1D(8).fingerprint()
    monkeypatch.setattr(base, "NUMERICS", base.NUMERICS + 1)
    assert Scattering1D(8).fingerprint() != before


def test_a_transform_must_say_everything():
    with pytest.raises(TypeError, match="abstract"):
        Transform()  # type: ignore[abstract]

    @dataclass(frozen=True)
    class Half(Transform):
        n_paths = 1

    with pytest.raises(TypeError, match="halo"):
        Half()  # type: ignore[abstract]


def test_call_goes_through_the_block_function(monkeypatch):
    seen = []
    monkeypatch.setattr("scatdask.blocks.transform_array", lambda *args: seen.append(args))
    x = np.zeros(64)
    Scattering1D(3)(x)
    assert seen == [(Scattering1D(3), x)]
