"""Vision: convolution by hand, receptive fields, classes, boxes and masks."""
