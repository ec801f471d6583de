"""One draw for images, masks, points and boxes."""

import numpy as np
import pytest
import tensorflow as tf

from tfnn import layers


def bright_pixels(rows=20, height=21, width=17):
    """Images of one bright pixel each, and its centre as (x, y) with the pixel in row i and column j at (j + ½, i + ½)."""
    random = np.random.RandomState(0)
    at = np.stack([random.randint(7, height - 7, rows), random.randint(5, width - 5, rows)], 1)
    x = np.zeros((rows, height, width, 1), "float32")
    x[np.arange(rows), at[:, 0], at[:, 1]] = 1
    return x, (at[:, None, ::-1] + 0.5).astype("float32")


def augment():
    return layers.Augment(
        [
            layers.RandomFlip(),
            layers.RandomTranslation(0.1, 0.1, "constant"),
            layers.RandomRotation(0.3, "constant"),
            layers.RandomZoom((-0.3, 0), fill_mode="constant"),
            layers.RandomCrop(19, 16, fill_mode="constant"),
        ]
    )


def test_a_key_point_stays_on_its_pixel():
    x, points = bright_pixels()
    transform = augment().draw(x)
    moved, y = np.asarray(transform.points(points))[:, 0], np.asarray(transform.images(x))[..., 0]
    rows, columns = np.mgrid[:19, :16] + 0.5
    total = y.sum((1, 2))
    centre = np.stack([(y * columns).sum((1, 2)), (y * rows).sum((1, 2))], 1) / total[:, None]
    within = total > 0.8
    assert within.sum() > 10
    np.testing.assert_allclose(moved[within], centre[within], atol=0.35)  # bilinear weights blur a point over its neighbours
    assert np.abs(moved - points[:, 0]).mean() > 2


def test_a_mask_moves_with_its_image_by_whole_labels():
    x = np.random.RandomState(0).randint(0, 5, (6, 12, 12, 1))
    smooth = np.repeat(np.repeat(x[:, ::4, ::4], 4, 1), 4, 2).astype("uint8")
    layer = layers.RandomRotation(0.2, "constant", "nearest")
    transform = layer.draw(smooth)
    masks = transform.masks(smooth, fill_value=255)
    assert masks.dtype == tf.uint8 and set(np.unique(masks)) <= {0, 1, 2, 3, 4, 255}
    np.testing.assert_array_equal(np.where(masks == 255, 0, masks), transform.images(smooth))
    np.testing.assert_array_equal(transform.masks(smooth[..., 0], 255), masks[..., 0])


def test_boxes_of_a_flip_and_a_quarter_turn():
    x = np.zeros((1, 10, 20, 3), "float32")
    boxes = [[[2.0, 1, 5, 4], [0, 0, 20, 10]]]
    flip = next(t for t in (layers.RandomFlip("horizontal", seed=s).draw(x) for s in range(20)) if t.matrix[0, 0, 0] < 0)
    np.testing.assert_allclose(flip.boxes(boxes), [[[15, 1, 18, 4], [0, 0, 20, 10]]], atol=1e-4)
    square = np.zeros((1, 10, 10, 3), "float32")
    turn = layers.RandomRotation((0.25, 0.25)).draw(square)
    np.testing.assert_allclose(turn.boxes([[[2.0, 1, 5, 4]]]), [[[1, 5, 4, 8]]], atol=1e-4)


def test_a_box_is_cut_off_at_the_edges_and_hulls_what_is_turned():
    x = np.zeros((1, 10, 10, 1), "float32")
    shift = layers.RandomTranslation((0.5, 0.5), 0.0).draw(x)
    np.testing.assert_allclose(shift.boxes([[[1.0, 2, 4, 8]]]), [[[1, 7, 4, 10]]])
    turn = layers.RandomRotation((0.125, 0.125)).draw(x)
    half = 2 * np.sqrt(2)
    np.testing.assert_allclose(turn.boxes([[[3.0, 3, 7, 7]]]), [[[5 - half, 5 - half, 5 + half, 5 + half]]], atol=1e-4)


def test_a_resized_crop_moves_boxes_to_its_own_size():
    x = np.zeros((1, 8, 8, 1), "float32")
    transform = layers.RandomResizedCrop(16, 16, scale=(1, 1), ratio=(1, 1)).draw(x)
    np.testing.assert_allclose(transform.boxes([[[1.0, 2, 3, 4]]]), [[[2, 4, 6, 8]]], atol=1e-4)


def test_a_single_image_has_single_masks_points_and_boxes():
    x = np.random.RandomState(0).uniform(size=(6, 6, 3)).astype("float32")
    transform = layers.RandomRotation((0.25, 0.25)).draw(x)
    np.testing.assert_array_equal(transform.images(x), np.rot90(x))
    np.testing.assert_array_equal(transform.masks(x[..., 0]), np.rot90(x[..., 0]))
    np.testing.assert_allclose(transform.points([[1.0, 2.0]]), [[2, 5]], atol=1e-5)
    np.testing.assert_allclose(transform.boxes([[1.0, 2, 3, 4]]), [[2, 3, 4, 5]], atol=1e-5)


@pytest.mark.parametrize("batched", [False, True])
def test_in_tf_data_one_draw_moves_image_mask_and_boxes(batched):
    x = np.zeros((12, 10, 14, 1), "uint8")
    x[:, 3:6, 2:8] = 9
    boxes = np.tile(np.float32([[2, 3, 8, 6]]), (12, 1, 1))
    layer = layers.Augment([layers.RandomFlip(), layers.RandomTranslation(0.1, 0.1, "constant", "nearest")])

    def move(image, mask, boxes):
        transform = layer.draw(image)
        return transform.images(image), transform.masks(mask), transform.boxes(boxes)

    data = tf.data.Dataset.from_tensor_slices((x, x[..., 0], boxes))
    data = data.batch(5).map(move).unbatch() if batched else data.map(move)
    places = set()
    for image, mask, ((left, top, right, bottom),) in data.as_numpy_iterator():
        np.testing.assert_array_equal(image[..., 0], mask)
        rows, columns = np.nonzero(mask)
        edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose((left, top, right, bottom), edges, atol=0.51)  # the nearest whole pixel
        places.add(edges)
    assert len(places) > 3


def test_changes_of_values_leave_masks_points_and_boxes():
    x = np.full((2, 6, 6, 3), 9.0, "float32")
    transform = layers.RandomBrightness((0.5, 0.5)).draw(x)
    assert np.asarray(transform.images(x)).min() > 100
    for what, value in ("masks", x), ("points", [[[1.0, 2]]] * 2), ("boxes", [[[1.0, 2, 3, 4]]] * 2):
        np.testing.assert_array_equal(getattr(transform, what)(value), value)


@pytest.mark.parametrize(
    "what, shape", [("boxes", (2, 4)), ("boxes", (3, 5, 4)), ("boxes", (2, 5, 3)), ("points", (2, 2)), ("points", (2, 5, 3))]
)
def test_boxes_and_points_of_another_shape_are_refused(what, shape):
    transform = layers.RandomRotation(0.1).draw(np.zeros((2, 6, 6, 3), "float32"))
    with pytest.raises(ValueError, match=f"{what} of shape .* must be .B, N, [24]. for images"):
        getattr(transform, what)(np.zeros(shape))
    assert transform.boxes(np.zeros((2, 0, 4))).shape == (2, 0, 4)


@pytest.mark.parametrize("shape", [(2, 7, 6, 1), (2, 6, 7), (6, 6)])
def test_a_mask_of_another_size_is_refused(shape):
    transform = layers.RandomRotation(0.1).draw(np.zeros((2, 6, 6, 3), "float32"))
    with pytest.raises(ValueError, match="masks of shape .* must be of the size"):
        transform.masks(np.zeros(shape))
