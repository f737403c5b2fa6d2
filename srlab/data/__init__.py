"""Reading images, MATLAB-style resizing, where the images come from, and training patches."""
