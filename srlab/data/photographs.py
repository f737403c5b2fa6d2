"""The embedded data: photographs in scikit-image's wheel, to train on and to hold out.

`skimage.data` documents them: public domain, CC0 or without known copyright restrictions, except two. The two views of
a motorcycle are from the Middlebury 2014 stereo benchmark (D. Scharstein et al., GCPR 2014); the scan `page` has no
licence of its own beside scikit-image's. Credits: NASA (astronaut, hubble_deep_field), SpaceX (rocket), Brooklyn Museum
(coins), Center for Microscopy and Molecular Imaging (ihc), CC0 Textures (brick, gravel), Linolafett (grass), Lav
Varshney (camera), Rachel Michetti (coffee), Stefan van der Walt (chelsea).

Drawings are left out, as are pictures that bicubic ×2 restores at more than 40 dB, and one too low for HR patches of
192 pixels (text). The held-out photographs repeat a detail elsewhere (bricks, letters, a lattice tower, the legs of a
tripod), which attention to far places should use. They are few and small: they show that a study runs and roughly what
it finds; comparison with papers needs the papers' data.
"""

from pathlib import Path

import skimage.data

FOLDER = Path(skimage.data.__file__).parent

TRAIN = (
    *("astronaut.png", "chelsea.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png"),
    *("motorcycle_left.png", "motorcycle_right.png"),
)

# What is evaluated: (file, (top, left, height, width)). The crops do not overlap; their sides are multiples
# of 24, so that ×2, ×3, ×4 and ×8 fit, and are small enough for dense non-local attention on a laptop.
CROPS = {
    "brick": ("brick.png", (0, 0, 240, 240)),
    "camera_skyline": ("camera.png", (24, 232, 240, 240)),
    "camera_tripod": ("camera.png", (264, 200, 240, 240)),
    "coffee_cup": ("coffee.png", (0, 80, 240, 240)),
    "coffee_spoon": ("coffee.png", (160, 320, 240, 240)),
    "page_left": ("page.png", (0, 0, 168, 192)),
    "page_right": ("page.png", (0, 192, 168, 192)),
    "rocket_tower": ("rocket.jpg", (184, 400, 240, 240)),
}
