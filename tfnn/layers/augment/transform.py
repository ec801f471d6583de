"""One draw of an augmentation, to be applied to images and to their masks, points and boxes."""

import tensorflow as tf

from tfnn.layers.augment import affine
from tfnn.layers.augment.resample import resample


class Transform:
    """The result of an augmentation layer's `draw`: the same random numbers for images, masks, points and boxes.

    Points and boxes are in pixels of a plane where the image covers [0, W] × [0, H]: the pixel in row i and column j has
    its centre at (x, y) = (j + ½, i + ½). They follow the picture, not its mirrored or repeated copies outside of it.

    Under `tfnn.fit(..., augment=)` masks move by themselves. Boxes and points that are labels need an object with a method
    `augment_batch`:

    Example:
        >>> flip = tfnn.layers.RandomFlip()
        >>> class Detection:
        ...     def augment_batch(self, x, y, sample_weight):
        ...         transform = flip.draw(x)
        ...         return transform.images(x), {**y, "boxes": transform.boxes(y["boxes"])}, sample_weight
        >>> tfnn.fit(model, images, {"boxes": boxes, "class": classes}, augment=Detection())
    """

    def __init__(self, shape, size, matrix, sampling, changes):
        self.shape, self.size, self.matrix, self.sampling, self.changes = shape, size, matrix, sampling, changes

    def images(self, images):
        """The changed images: integers stay integers (rounded, kept in range), floats keep their dtype."""
        images = self.batch_of("images", images)
        outputs = images if self.matrix is None else resample(images, self.matrix, self.size, *self.sampling)
        if self.changes:
            outputs = tf.cast(outputs, tf.float32)
        for change in self.changes:
            outputs = change(outputs)
        if images.dtype.is_integer and outputs.dtype.is_floating:
            outputs = tf.saturate_cast(tf.round(outputs), images.dtype)
        return self.like_input(self.with_shape(tf.cast(outputs, images.dtype), images.shape[-1]))

    def masks(self, masks, fill_value=0):
        """Labels of pixels, (B, H, W) or (B, H, W, C), from the nearest pixel; `fill_value` is the label of constant fills."""
        masks = tf.convert_to_tensor(masks)
        flat = masks.shape.rank == len(self.shape) - 1
        masks = self.batch_of("masks", masks[..., None] if flat else masks)
        if self.matrix is not None:
            _, fill_mode, _ = self.sampling
            masks = resample(masks, self.matrix, self.size, "nearest", fill_mode, fill_value)
        masks = self.like_input(self.with_shape(masks, masks.shape[-1]))
        return masks[..., 0] if flat else masks

    def points(self, points):
        """Key points (B, N, 2) of (x, y); some may lie outside of the image."""
        points = self.expanded(self.sets_of("points", points, 2))
        if self.matrix is not None:
            points = affine.apply(affine.inverse(self.matrix), points - 0.5) + 0.5
        return self.like_input(points)

    def boxes(self, boxes):
        """Boxes (B, N, 4) of left, top, right, bottom: the upright hull of each turned box, cut off at the image's edges."""
        boxes = self.expanded(self.sets_of("boxes", boxes, 4))
        left, top, right, bottom = tf.unstack(boxes, axis=-1)
        corners = [tf.stack(corner, -1) for corner in ((left, top), (right, top), (left, bottom), (right, bottom))]
        moved = tf.stack([self.expanded(self.points(self.like_input(corner))) for corner in corners], axis=2)
        height, width = (tf.cast(length, tf.float32) for length in self.size)
        hull = tf.concat([tf.reduce_min(moved, 2), tf.reduce_max(moved, 2)], axis=-1)
        return self.like_input(tf.clip_by_value(hull, 0.0, tf.stack([width, height, width, height])))

    def sets_of(self, what, tensor, count):
        tensor = tf.cast(tensor, tf.float32)
        if not tensor.shape.is_compatible_with((*self.shape[:-3], None, count)):
            letters = "B, N" if len(self.shape) == 4 else "N"
            raise ValueError(f"{what} of shape {tensor.shape} must be ({letters}, {count}) for images {self.shape}")
        return tensor

    def batch_of(self, what, tensor):
        tensor = tf.convert_to_tensor(tensor)
        if tensor.shape.rank != len(self.shape) or not tensor.shape[:-1].is_compatible_with(self.shape[:-1]):
            raise ValueError(f"{what} of shape {tensor.shape} must be of the size that was drawn for, {self.shape}")
        return self.expanded(tensor)

    def with_shape(self, images, channels):
        return tf.ensure_shape(images, [None, *(length if isinstance(length, int) else None for length in self.size), channels])

    def expanded(self, tensor):
        return tensor[None] if len(self.shape) == 3 else tensor

    def like_input(self, tensor):
        return tensor[0] if len(self.shape) == 3 else tensor
