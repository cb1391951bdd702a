"""What there is to look at: figures, grids of images, heat maps."""
