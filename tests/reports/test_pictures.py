"""Pictures in the page: PNG data URIs and the map of many classes."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from rung.reports import pictures


def decoded(uri: str) -> np.ndarray:
    assert uri.startswith("data:image/png;base64,")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.mark.parametrize(("size", "factor"), [(8, 8), (28, 3), (32, 2), (64, 1), (100, 1)])
def test_small_images_are_enlarged_by_whole_factors_without_smoothing(size: int, factor: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    found = decoded(pictures.image_uri(image))
    assert np.array_equal(found, image.repeat(factor, 0).repeat(factor, 1))


def test_grey_images_stay_grey() -> None:
    assert decoded(pictures.image_uri(np.full((64, 64, 1), 77, dtype=np.uint8))).shape == (64, 64)


@pytest.mark.parametrize("shape", [(400, 400, 3), (1, 3000, 3), (500, 129, 1)])
def test_large_images_are_shrunk(shape: tuple[int, int, int]) -> None:
    found = decoded(pictures.image_uri(np.full(shape, 9, dtype=np.uint8)))
    assert max(found.shape[:2]) <= pictures.LARGEST
    assert (found == 9).all()


def test_map_has_right_and_wrong_cells_at_their_places() -> None:
    confusion = np.diag(np.full(30, 9))
    confusion[4, 7] = 1
    drawn = pictures.confusion_map(confusion, [f"class {k}" for k in range(30)])
    cells = decoded(re.search(r'href="([^"]+)"', drawn)[1])
    assert cells.shape == (30, 30, 4)
    assert cells[0, 0].tolist() == [0, 114, 178, 255]
    assert cells[4, 7, :3].tolist() == [213, 94, 0]
    assert cells[4, 7, 3] == round(255 * np.sqrt(0.1))
    assert cells[7, 4, 3] == 0


@pytest.mark.parametrize(("classes", "named"), [(21, 21), (100, 25), (1000, 28)])
def test_many_classes_are_named_sparsely(classes: int, named: int) -> None:
    drawn = pictures.confusion_map(np.eye(classes, dtype=np.int64), [f"c{k}" for k in range(classes)])
    assert drawn.count("<text") == 2 * named


def test_depth_grows_with_the_share_and_stays_readable() -> None:
    depths = [pictures.depth(share) for share in (0, 0.01, 0.1, 0.5, 1)]
    assert depths == sorted(depths)
    assert (depths[0], depths[-1]) == (0, 0.6)


@pytest.mark.parametrize(
    "hostile",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        '<svg onload="alert(1)"/>',
        '<svg xmlns="http://www.w3.org/2000/svg"><foreignObject/></svg>',
        '<svg xmlns:x="http://www.w3.org/1999/xlink"><image x:href="https://example.org/a.png"/></svg>',
        '<svg><a href="javascript:alert(1)"/></svg>',
    ],
)
def test_pictures_that_act_are_refused(hostile: str) -> None:
    with pytest.raises(ValueError, match="picture of the network"):
        pictures.checked_svg(hostile)


def test_plain_pictures_pass_as_they_are() -> None:
    plain = '<svg viewBox="0 0 1 1"><title>a &lt; b</title><rect width="1"/></svg>'
    assert pictures.checked_svg(plain) == plain
