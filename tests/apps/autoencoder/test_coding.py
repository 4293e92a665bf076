"""Pictures to codes and back through files equals the network itself; errors are those of the definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from apps.autoencoder.networks import SIZES, small_model, write_pictures
from trous import TrousError
from trous.apps.autoencoder.coding import decode, encode, errors, side_by_side
from trous.apps.autoencoder.files import load_codes, load_model, save_codes, save_model
from trous.apps.autoencoder.images import Pictures, find


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> Pictures:
    return Pictures(find([write_pictures(tmp_path / "pictures", rng)]))


def test_round_trip_through_files_equals_the_network(pictures: Pictures, tmp_path: Path) -> None:
    made = small_model()
    save_model(tmp_path / "small.safetensors", made)
    model = load_model(str(tmp_path / "small.safetensors"))
    assert model.fingerprint() == made.fingerprint() and model.network.architecture == made.network.architecture
    save_codes(tmp_path / "x.codes", encode(model, pictures))
    codes = load_codes(tmp_path / "x.codes")
    assert codes.sizes == list(SIZES) and codes.names == pictures.names and codes.model == "small"
    images = list(decode(model, codes))
    for size in set(SIZES):
        chosen = [n for n, other in enumerate(SIZES) if other == size]
        given = torch.from_numpy(np.stack([pictures[n] for n in chosen])).float() / 255
        with torch.no_grad():
            expected = made.network.encode(given)
        assert torch.equal(torch.stack([codes.values[n] for n in chosen]), expected)
        for n, code in zip(chosen, expected, strict=True):
            with torch.no_grad():
                again = made.network.decode(code[None], size)[0].clamp(0, 1)
            np.testing.assert_array_equal(images[n], (again * 255).round().byte().numpy())


def test_files_are_the_same_whenever_they_are_written(pictures: Pictures, tmp_path: Path) -> None:
    for name in "ab":
        save_model(tmp_path / f"{name}.safetensors", small_model())
        save_codes(tmp_path / f"{name}.codes", encode(small_model(), pictures))
    for kind in "safetensors", "codes":
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_errors_are_the_mean_squared_ones(pictures: Pictures) -> None:
    model = small_model()
    found = errors(model, pictures)
    for index, error in enumerate(found):
        given = torch.from_numpy(pictures[index].copy())[None].float() / 255
        difference = (model.network.reconstruct(given) - given).numpy().astype(np.float64)
        assert error == pytest.approx(np.square(difference).mean(), rel=1e-6)


def test_what_is_shown(pictures: Pictures) -> None:
    page = side_by_side(small_model(), pictures)
    assert page.dtype == np.uint8 and page.shape[0] == 3
    original = np.kron(pictures[1], np.ones((1, 3, 3), np.uint8))  # 41 pixels thrice: 112 or more
    height, width = original.shape[1:]
    places = [
        (top, left)
        for top in range(page.shape[1] - height + 1)
        for left in range(page.shape[2] - width + 1)
        if (page[:, top, left] == original[:, 0, 0]).all()
        and (page[:, top : top + height, left : left + width] == original).all()
    ]
    assert len(places) == 1


def test_codes_of_another_model(pictures: Pictures) -> None:
    codes = encode(small_model(), pictures)
    with pytest.raises(TrousError, match="model must be the one that made the codes, 'small' with fingerprint"):
        next(decode(small_model(seed=1), codes))


def test_pictures_that_a_model_is_not_for(pictures: Pictures) -> None:
    model = small_model(size=(20, 33))
    with pytest.raises(TrousError, match=r"images must be of 20×33 pixels.*got '40×41'\n  in .*1.png with small"):
        encode(model, pictures)


def test_files_that_are_something_else(pictures: Pictures, tmp_path: Path) -> None:
    save_model(tmp_path / "small.safetensors", small_model())
    save_codes(tmp_path / "x.safetensors", encode(small_model(), pictures))
    with pytest.raises(TrousError, match="codes must be a file of autoencoder codes"):
        load_codes(tmp_path / "small.safetensors")
    with pytest.raises(TrousError, match="model must be a file of autoencoder weights"):
        load_model(str(tmp_path / "x.safetensors"))
    with pytest.raises(TrousError, match="codes must be a file that is there"):
        load_codes(tmp_path / "absent")
    with pytest.raises(TrousError, match=r"model must be .*fashion-32.* or the folder of a run that has ended"):
        load_model(str(tmp_path))
    with pytest.raises(TrousError, match=r"model must be .*got 'fashion-33'"):
        load_model("fashion-33")
    for path, load in (
        (tmp_path / "small.safetensors", lambda p: load_model(str(p))),
        (tmp_path / "x.safetensors", load_codes),
    ):
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(TrousError, match="must be an undamaged safetensors file"):
            load(path)
    with pytest.raises(TrousError, match="output must be where a file can be written"):
        save_model(tmp_path / "absent" / "x.safetensors", small_model())
