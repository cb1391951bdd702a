"""Images from folders, lists, archives and torchvision's sets."""
