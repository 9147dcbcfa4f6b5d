"""What is shipped: the wheel, the image and the composition."""
