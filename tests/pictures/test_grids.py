"""Grids and films: every image in its place, every frame in its order."""

import os

import numpy as np
import pytest
from PIL import Image

from dlx.pictures.grids import BORDER, TILE, Grid, films, save


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 64, 64), (3, 20, 100)])
def test_a_grid_has_every_image_row_by_row(shape):
    images = np.stack([np.full(shape, 30 * n, np.uint8) for n in range(7)])
    page = Grid(images, 3).array()
    scale = max(1, TILE // shape[1])
    height, width = shape[1] * scale + BORDER, shape[2] * scale + BORDER
    assert page.shape == (3 * height + BORDER, 3 * width + BORDER, 3)
    for number in range(7):
        assert (page[(number // 3) * height + BORDER + 1, (number % 3) * width + BORDER + 1] == 30 * number).all()
    assert (page[-1] == 255).all()


def test_colours_stay_what_they_are(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 9, 7)).astype(np.uint8)
    save(image, tmp_path / "colour.png")
    save(image[:1], tmp_path / "grey.png")
    with Image.open(tmp_path / "colour.png") as colour, Image.open(tmp_path / "grey.png") as grey:
        assert np.array_equal(np.asarray(colour).transpose(2, 0, 1), image)
        assert np.array_equal(np.asarray(grey), image[0])


def test_a_film_shows_its_frames_in_order(tmp_path):
    (tmp_path / "samples").mkdir()
    for step in (100, 20, 3):
        Grid(np.full((2, 1, 8, 8), step, np.uint8), 2).savefig(tmp_path / "samples" / f"step-{step:08d}.png")
    (tmp_path / "single").mkdir()
    Grid(np.zeros((2, 1, 8, 8), np.uint8), 2).savefig(tmp_path / "single" / "step-00000001.png")
    assert films(tmp_path) == [tmp_path / "samples.gif"]
    with Image.open(tmp_path / "samples.gif") as film:
        assert film.n_frames == 3
        seen = []
        for frame in range(3):
            film.seek(frame)
            seen.append(film.convert("RGB").getpixel((20, 20))[0])
    assert seen == sorted(seen)
    assert len(set(seen)) == 3


def test_films_follow_no_link_and_read_frames_of_dlx_only(tmp_path):
    plots, mine = tmp_path / "plots", tmp_path / "mine"
    for folder in (plots / "samples", mine):
        folder.mkdir(parents=True)
        for step in (1, 2):
            Grid(np.full((2, 1, 8, 8), step, np.uint8), 2).savefig(folder / f"step-{step:08d}.png")
    (tmp_path / "file").write_text("mine")
    (plots / "samples.gif").symlink_to(tmp_path / "file")
    (plots / "more").symlink_to(mine)
    assert films(plots) == [plots / "samples.gif"]
    assert (tmp_path / "file").read_text() == "mine"
    assert not (plots / "samples.gif").is_symlink()
    os.mkfifo(plots / "samples" / "step-00000003.png")
    with pytest.raises(OSError, match="no regular file"):
        films(plots)
