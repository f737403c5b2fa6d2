"""Read images, resize them as MATLAB does, find data sets, and cut training patches."""
