"""Released implementations: how their configurations and weights are named, and what they are here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from srlab.attention import BRA, ENLA, LSP, NLA, NLSA, CoA
from srlab.attention.window import ImplicitPosition, WindowAttention
from srlab.errors import InputError
from srlab.models import build


@dataclass(frozen=True)
class Released:
    """One released implementation.

    Attributes
    ----------
    make : callable
        Builds our module from the released configuration.
    keys : list of (pattern, replacement)
        Regular expressions on released key names, each applied in turn; a key that matches a pattern whose
        replacement is None holds nothing we need and is dropped.
    pointwise : str or None
        Our names of 1×1 convolutions whose weights are released as those of linear layers, as a pattern.
    """

    make: Callable[[Mapping[str, object]], nn.Module]
    keys: list[tuple[str, str | None]]
    pointwise: str | None = None

    def rename(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Released weights under our names."""
        renamed = {}
        for key, tensor in weights.items():
            name: str | None = key
            for pattern, replacement in self.keys:
                if replacement is None and re.search(pattern, name):
                    name = None
                    break
                name = re.sub(pattern, replacement or "", name)
            if name is not None:
                linear = self.pointwise is not None and re.search(self.pointwise, name) is not None
                renamed[name] = tensor[..., None, None] if linear else tensor
        return renamed


def _lcoan(config: Mapping[str, object]) -> nn.Module:
    return build(
        "lcoan",
        config["scale"],
        channels=config["n_feats"],
        groups=config["n_resgroups"],
        blocks=config["n_resblocks"],
        clusters=config["n_clusters"],
        window=config["window_size"],
        reduction=config.get("reduction", 1),
        rounds=config.get("n_rounds", 1),
        ema_decay=config.get("ema_decay", 0.999),
    )


def _lsp(config: Mapping[str, object]) -> nn.Module:
    return LSP(
        config["channels"],
        config["n_clusters"],
        config["window_size"],
        config.get("reduction", 1),
        config.get("n_rounds", 1),
        config["res_scale"],
    )


def _coa(config: Mapping[str, object]) -> nn.Module:
    return CoA(config["channels"], config["res_scale"])


def _nla(config: Mapping[str, object]) -> nn.Module:
    return NLA(config["channels"], config["reduction"], residual_scale=1.0, input_scale=config["res_scale"])


def _nlsa(config: Mapping[str, object]) -> nn.Module:
    return NLSA(
        config["channels"],
        config["chunk_size"],
        config["reduction"],
        config["n_hashes"],
        config["res_scale"],
    )


def _enla(config: Mapping[str, object]) -> nn.Module:
    return ENLA(
        config["channels"],
        config["reduction"],
        config.get("nb_features", 128),
        config.get("amplification", 6**0.5),
        config.get("res_scale", 0.1),
    )


def _bra(config: Mapping[str, object]) -> nn.Module:
    return BRA(config["dim"], config["num_heads"], config["n_win"], config["topk"])


def _rib_window(config: Mapping[str, object]) -> nn.Module:
    position = partial(
        ImplicitPosition,
        rank=config["rank"],
        hidden=config["rib_hidden_dim"],
        frequencies=config["rib_n_freqs"],
    )
    return WindowAttention(config["dim"], config["num_heads"], config["window_size"], position, gate=True)


def _esc(config: Mapping[str, object], name: str = "esc") -> nn.Module:
    return build(
        name,
        config["upscaling_factor"],
        channels=config["dim"],
        heads=config["num_heads"],
        blocks=config["n_blocks"],
        pairs=config["conv_blocks"],
        side=config["window_size"],
        attended=config["pdim"],
        kernel_size=config["kernel_size"],
        ratio=config["exp_ratio"],
    )


def _hit_srf(config: Mapping[str, object]) -> nn.Module:
    ratios = config["hier_win_ratios"]
    if {*config["depths"]} != {len(ratios)} or len({*config["num_heads"]}) != 1:
        raise InputError("released 'hit_srf': a stage must have a block for each ratio, and all the same heads")
    return build(
        "hit_srf",
        config["upscale"],
        channels=config["embed_dim"],
        heads=config["num_heads"][0],
        stages=len(config["depths"]),
        base=config["base_win_size"],
        ratios=ratios,
        expansion=config["expansion_factor"],
    )


def _elan_light(config: Mapping[str, object]) -> nn.Module:
    return build(
        "elan_light",
        config["scale"],
        channels=config["c_elan"],
        layers=config["m_elan"],
        reuses=config["n_share"],
        expansion=config["r_expand"],
        sides=config["window_sizes"],
        colours=config["rgb_range"],
    )


_ESC_KEYS: list[tuple[str, str | None]] = [
    (r"^proj\.", "head."),
    (r"^last\.", "body_end."),
    (r"^ln_last\.", "body_norm."),
    (r"^to_img\.", "to_image."),
    (r"^plk_filter$", "kernel.weight"),
    (r"^lk_channel$", "kernel.mix"),
    (r"^lk_spatial$", "kernel.spatial"),
    (r"\.attn\.relative_position_bias$", ".attention.position.table"),
    (r"\.attn\.", ".attention."),
    (r"\.ln_proj\.", ".norm."),
    (r"\.ln_attn\.", ".attention_norm."),
    (r"\.ln_out\.", ".out_norm."),
    (r"\.conv_out\.", ".out."),
    (r"\.lns\.", ".pair_norms."),
    (r"\.pconvs\.(\d+)\.aggr\.", r".conv_attns.\1.merge."),
    (r"\.pconvs\.(\d+)\.plk\.(dwc_)?proj\.", r".conv_attns.\1.to_small."),
    (r"^(blocks\.\d+)\.proj\.", r"\1.ffn."),
    (r"\.convffns\.", ".pair_ffns."),
    (r"ffn(s\.\d+)?\.proj\.", r"ffn\1.widen."),
    (r"ffn(s\.\d+)?\.dwc\.", r"ffn\1.depthwise."),
    (r"ffn(s\.\d+)?\.aggr\.", r"ffn\1.narrow."),
]


RELEASED: dict[str, Released] = {
    "lcoan": Released(
        _lcoan,
        [
            (r"^(a$|sub_mean\.|add_mean\.)", None),
            # The released network creates match convolutions and k-means in every layer; CoA needs neither.
            (r"^body\.(?!0\.)\d+\.attention\.0\.(kmeans|conv_match)\.", None),
            (r"\.kmeans\.initted$", ".kmeans.initialised"),
            (r"\.conv_assembly\.0\.", ".assembly."),
            (r"\.conv_match\.0\.", ".match."),
            (r"\.attention\.0\.", ".attention."),
            (r"\.local_body\.", ".blocks."),
            (r"\.m_conv\.0\.", ".merge."),
            (r"^body\.", "groups."),
            (r"^head\.0\.", "head."),
            (r"^m_conv\.0\.", "body_end."),
            (r"^tail\.0\.", "upsampler."),
            (r"^tail\.1\.", "tail."),
        ],
    ),
    "lsp": Released(
        _lsp,
        [
            (r"^kmeans\.initted$", "kmeans.initialised"),
            (r"^conv_assembly\.0\.", "assembly."),
            (r"^conv_match\.0\.", "match."),
        ],
    ),
    "coa": Released(_coa, [(r"^(kmeans|conv_match)\.", None), (r"^conv_assembly\.0\.", "assembly.")]),
    "nla": Released(
        _nla,
        [(r"^conv_match1\.", "theta."), (r"^conv_match2\.", "phi."), (r"^conv_assembly\.", "g.")],
    ),
    "nlsa": Released(_nlsa, [(r"^conv_assembly\.0\.", "assembly."), (r"^conv_match\.0\.", "match.")]),
    "enla": Released(
        _enla,
        [
            (r"^attn_fn\.projection_matrix$", "projection"),
            (r"^conv_assembly\.0\.", "assembly."),
            (r"^conv_match1\.0\.", "match_query."),
            (r"^conv_match2\.0\.", "match_key."),
        ],
    ),
    "bra": Released(_bra, [(r"^qkv\.qkv\.", "qkv."), (r"^lepe\.", "local."), (r"^wo\.", "merge.")]),
    "rib_window": Released(
        _rib_window,
        [
            (r"^to_hidden$", "position.to_hidden"),
            (r"^hidden_b$", "position.hidden_bias"),
            (r"^to_q$", "position.to_query"),
            (r"^to_k$", "position.to_key"),
        ],
    ),
    "esc": Released(_esc, _ESC_KEYS),
    "esc_light": Released(partial(_esc, name="esc_light"), _ESC_KEYS),
    "esc_fp": Released(partial(_esc, name="esc_fp"), _ESC_KEYS),
    "hit_srf": Released(
        _hit_srf,
        [
            (r"^conv_first\.", "head."),
            (r"^patch_embed\.norm\.", "first_norm."),
            (r"^norm\.", "last_norm."),
            (r"^conv_after_body\.", "body_end."),
            (r"^upsample\.0\.", "to_image."),
            (r"^layers\.(\d+)\.conv\.", r"stages.\1.out."),
            (r"^layers\.(\d+)\.residual_group\.", r"stages.\1."),
            (r"\.norm1\.", ".attention_norm."),
            (r"\.norm2\.", ".ffn_norm."),
            (r"\.mlp\.fc1\.", ".ffn.widen."),
            (r"\.mlp\.dwconv\.depthwise_conv\.0\.", ".ffn.depthwise."),
            (r"\.mlp\.fc2\.", ".ffn.narrow."),
            (r"\.correlation\.pos\.pos_proj\.", ".attention.position.network.0."),
            (r"\.correlation\.pos\.pos1\.0\.", ".attention.position.network.1."),
            (r"\.correlation\.pos\.pos1\.2\.", ".attention.position.network.3."),
            (r"\.correlation\.pos\.pos2\.0\.", ".attention.position.network.4."),
            (r"\.correlation\.pos\.pos2\.2\.", ".attention.position.network.6."),
            (r"\.correlation\.pos\.pos3\.0\.", ".attention.position.network.7."),
            (r"\.correlation\.pos\.pos3\.2\.", ".attention.position.network.9."),
            (r"\.correlation\.qv\.conv\.", ".attention.bottleneck."),
            (r"\.correlation\.qv\.linear\.", ".attention.straight."),
            (r"\.correlation\.spatial_linear\.", ".attention.reduce."),
            (r"\.correlation\.proj\.", ".attention.out."),
        ],
        pointwise=r"\.ffn\.(widen|narrow)\.weight$",
    ),
    "elan_light": Released(
        _elan_light,
        [
            # The authors' names, and after `|` or as an optional part those of Fried Rice Lab's code.
            (r"^module\.", ""),
            (r"^(sub|add)_mean\.|\.shift_conv\.weight$|\.mask$", None),  # fixed numbers
            (r"^head\.0\.", "head."),
            (r"^tail\.0\.", "to_image."),
            (r"^body\.(\d+)\.modules_lfe\.(?:lfe_)?(\d+)\.", r"blocks.\1.local.\2."),
            (r"\.(conv0\.shift_conv\.conv1x1|lfe\.0)\.", ".widen."),
            (r"\.(conv1\.shift_conv\.conv1x1|lfe\.2)\.", ".narrow."),
            (r"^body\.(\d+)\.modules_gmsa\.(?:gmsa_)?(\d+)\.", r"blocks.\1.attentions.\2."),
            (r"\.project_inp\.0\.", ".project."),
            (r"\.project_inp\.1\.", ".norm."),
            (r"\.project_out\.", ".out."),
        ],
    ),
}
