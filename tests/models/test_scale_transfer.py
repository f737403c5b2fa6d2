"""Starting another scale from a trained network."""

import pytest
import torch
from torch.nn.functional import interpolate

from srlab.errors import InputError
from srlab.models import build
from srlab.models.scale_transfer import interpolate_subpixels, start_at_scale

ESC = {"channels": 8, "heads": 2, "blocks": 1, "pairs": 1, "side": 4, "attended": 4, "kernel_size": 3}
TRUNK = {"channels": 8, "groups": 2, "blocks": 1, "clusters": 4, "window": 16}


@pytest.mark.parametrize("scale", [3, 4, 8])
@pytest.mark.parametrize(("name", "config", "new"), [("esc", ESC, "to_image"), ("lcoan", TRUNK, "upsampler")])
def test_all_but_the_end_is_copied(name, config, new, scale):
    trained = build(name, 2, seed=1, **config)
    network = start_at_scale(trained, name, scale, **config)
    assert network.scale == scale
    for key, tensor in network.state_dict().items():
        if not key.startswith(new):
            assert torch.equal(tensor, trained.state_dict()[key]), key
    assert network(torch.rand(1, 3, 8, 8)).shape == (1, 3, 8 * scale, 8 * scale)


def test_the_copy_is_its_own():
    trained = build("esc", 2, **ESC)
    network = start_at_scale(trained, "esc", 2, **ESC)
    with torch.no_grad():
        network.head.weight.zero_()
    assert trained.head.weight.abs().max() > 0


@pytest.mark.parametrize("shape", [(12, 5, 3, 3), (12,)])
def test_sub_pixels_are_interpolated_colour_by_colour(shape):
    parameter = torch.randn(shape)
    resized = interpolate_subpixels(parameter, 2, 3)
    assert resized.shape == (27, *shape[1:])
    grids = parameter.reshape(3, 2, 2, -1).permute(3, 0, 1, 2)
    expected = interpolate(grids, (3, 3), mode="bilinear", align_corners=False).permute(1, 2, 3, 0)
    torch.testing.assert_close(resized, expected.reshape(27, *shape[1:]))


@pytest.mark.parametrize(
    ("name", "config", "told"),
    [
        ("hit_srf", {}, "only the trunk's networks and ESC's"),
        ("esc", {**ESC, "blocks": 2}, "other weights than the network it shall start from"),
    ],
)
def test_bad_input_is_told(name, config, told):
    with pytest.raises(InputError, match=told):
        start_at_scale(build("esc", 2, **ESC), name, 4, **config)
