"""Released implementations: the names of their options and weights, and ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from srlab.attention import BRA, ENLA, LSP, NLA, NLSA, CoA
from srlab.attention.window import ImplicitPosition, WindowAttention
from srlab.errors import InputError
from srlab.models import build
from srlab.models.atd import atd_layer
from srlab.models.catanet import cata_block

Keys = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Released:
    """One released implementation; `make` builds our module."""

    make: Callable[..., nn.Module]
    #: Our names of its options, "ours=theirs" where the released name differs.
    options: str
    #: Regular expressions on released key names and replacements, applied in order; None drops the key.
    keys: Keys
    #: Released options that a configuration may lack.
    defaults: Mapping[str, object] = field(default_factory=dict)
    #: Pattern of our names of position tables that are released as [offset, head], the query's place minus the key's.
    tables: str | None = None
    #: Pattern of our names of 1×1 convolutions that are released as linear layers.
    pointwise: str | None = None

    def build(self, config: Mapping[str, object]) -> nn.Module:
        """Build our module from the released configuration; a missing option is a KeyError."""
        config = {**self.defaults, **config}
        names = (pair.partition("=") for pair in self.options.split())
        return self.make(**{ours: config[theirs or ours] for ours, _, theirs in names})

    def rename(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return released weights under our names."""
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
                if self.tables is not None and re.search(self.tables, name):
                    tensor = tensor.flip(0).mT
                renamed[name] = tensor[..., None, None] if linear else tensor
        return renamed


def _hit_srf(
    heads: Sequence[int], depths: Sequence[int], ratios: Sequence[float | int], **options: object
) -> nn.Module:
    if {*depths} != {len(ratios)} or len({*heads}) != 1:
        raise InputError("released 'hit_srf': a stage must have a block for each ratio, and all the same heads")
    return build("hit_srf", heads=heads[0], stages=len(depths), ratios=ratios, **options)


def _parts(names: str) -> Keys:
    """Rename whole parts of dotted keys, by "theirs=ours" in this order."""
    pairs = (pair.split("=") for pair in names.split())
    return [(rf"(^|\.){re.escape(theirs)}(?=\.|$)", rf"\1{ours}") for theirs, ours in pairs]


_ESC_OPTIONS = (
    "scale=upscaling_factor channels=dim heads=num_heads blocks=n_blocks pairs=conv_blocks side=window_size "
    "attended=pdim kernel_size ratio=exp_ratio"
)
_ESC_KEYS: Keys = [
    (r"^proj\.", "head."),
    *_parts(
        "last=body_end ln_last=body_norm to_img=to_image plk_filter=kernel.weight lk_channel=kernel.mix "
        "lk_spatial=kernel.spatial attn.relative_position_bias=attention.position.table attn=attention ln_proj=norm "
        "ln_attn=attention_norm ln_out=out_norm conv_out=out lns=pair_norms convffns=pair_ffns"
    ),
    (r"\.pconvs\.(\d+)\.aggr\.", r".conv_attns.\1.merge."),
    (r"\.pconvs\.(\d+)\.plk\.(dwc_)?proj\.", r".conv_attns.\1.to_small."),
    (r"^(blocks\.\d+)\.proj\.", r"\1.ffn."),
    (r"ffn(s\.\d+)?\.proj\.", r"ffn\1.widen."),
    (r"ffn(s\.\d+)?\.dwc\.", r"ffn\1.depthwise."),
    (r"ffn(s\.\d+)?\.aggr\.", r"ffn\1.narrow."),
]


# What stands around the layers of HiT-SRF, ATD and PFT.
_OUTSIDE: Keys = [
    (r"^conv_first\.", "head."),
    (r"^patch_embed\.norm\.", "first_norm."),
    (r"^norm\.", "last_norm."),
    (r"^conv_after_body\.", "body_end."),
    (r"^upsample\.0\.", "to_image."),
]

# Our names of the 1×1 convolutions of feed-forward networks, and of tables of positions, in CATANet, ATD and PFT.
_FFN, _TABLES = r"ffn\.(widen|narrow)\.weight$", r"position\.table$"

# A block of CATANet's attention to groups, and what follows every attention of the network.
_CATA_KEYS = _parts(
    "initted=attention.centres.initialised means=attention.centres.means iasa_attn.proj=attention.project "
    "iasa_attn.to_q=attention.to_query iasa_attn.to_k=attention.to_key iasa_attn.to_v=attention.to_value "
    "irca_attn.to_k=attention.centre_key irca_attn.to_v=attention.centre_value conv1x1=attention.merge "
    "mlp.norm=ffn_norm norm=attention.norm mlp.fn=ffn fc1=widen dwconv.depthwise_conv.0=depthwise fc2=narrow"
)

# ATD and PFT: the network around their layers, and their feed-forward networks.
_WINDOWED_FFN = _parts("convffn.fc1=ffn.widen convffn.dwconv.depthwise_conv.0=ffn.depthwise convffn.fc2=ffn.narrow")
_WINDOWED_KEYS: Keys = [
    (r"^relative_position_index_SA$", None),  # fixed numbers
    *_OUTSIDE,
    (r"^layers\.(\d+)\.conv\.", r"body.\1.out."),
    (r"^layers\.(\d+)\.residual_group\.", r"body.\1."),
    *_WINDOWED_FFN,
]
_ATD_KEYS = _parts(
    "td=dictionary norm1=norm norm2=ffn_norm norm3=refinement sigma=refinement.sigma wqkv=attention.to_qkv "
    "attn_atd.wq=attention.dictionary.to_query attn_atd.wk=attention.dictionary.to_key "
    "attn_atd.wv=attention.dictionary.to_value attn_atd.scale=attention.dictionary.scale "
    "attn_aca.proj=attention.category_out attn_aca.logit_scale=attention.logit_scale "
    "attn_win.proj=attention.window_out attn_win.relative_position_bias_table=attention.position.table"
)


RELEASED: dict[str, Released] = {
    "lcoan": Released(
        partial(build, "lcoan"),
        "scale channels=n_feats groups=n_resgroups blocks=n_resblocks clusters=n_clusters "
        "window=window_size reduction rounds=n_rounds ema_decay",
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
        defaults={"reduction": 1, "n_rounds": 1, "ema_decay": 0.999},
    ),
    "lsp": Released(
        LSP,
        "channels clusters=n_clusters window=window_size reduction rounds=n_rounds residual_scale=res_scale",
        [
            (r"^kmeans\.initted$", "kmeans.initialised"),
            (r"^conv_assembly\.0\.", "assembly."),
            (r"^conv_match\.0\.", "match."),
        ],
        defaults={"reduction": 1, "n_rounds": 1},
    ),
    "coa": Released(
        CoA,
        "channels residual_scale=res_scale",
        [(r"^(kmeans|conv_match)\.", None), (r"^conv_assembly\.0\.", "assembly.")],
    ),
    "nla": Released(
        partial(NLA, residual_scale=1.0),
        "channels reduction input_scale=res_scale",
        [(r"^conv_match1\.", "theta."), (r"^conv_match2\.", "phi."), (r"^conv_assembly\.", "g.")],
    ),
    "nlsa": Released(
        NLSA,
        "channels window=chunk_size reduction rounds=n_hashes residual_scale=res_scale",
        [(r"^conv_assembly\.0\.", "assembly."), (r"^conv_match\.0\.", "match.")],
    ),
    "enla": Released(
        ENLA,
        "channels reduction features=nb_features amplification residual_scale=res_scale",
        [
            (r"^attn_fn\.projection_matrix$", "projection"),
            (r"^conv_assembly\.0\.", "assembly."),
            (r"^conv_match1\.0\.", "match_query."),
            (r"^conv_match2\.0\.", "match_key."),
        ],
        defaults={"nb_features": 128, "amplification": 6**0.5, "res_scale": 0.1},
    ),
    "bra": Released(
        BRA,
        "channels=dim heads=num_heads windows=n_win top=topk",
        [(r"^qkv\.qkv\.", "qkv."), (r"^lepe\.", "local."), (r"^wo\.", "merge.")],
    ),
    "rib_window": Released(
        lambda channels, heads, window, **position: WindowAttention(
            channels, heads, window, partial(ImplicitPosition, **position), gate=True
        ),
        "channels=dim heads=num_heads window=window_size rank hidden=rib_hidden_dim frequencies=rib_n_freqs",
        [
            (r"^to_hidden$", "position.to_hidden"),
            (r"^hidden_b$", "position.hidden_bias"),
            (r"^to_q$", "position.to_query"),
            (r"^to_k$", "position.to_key"),
        ],
    ),
    **{name: Released(partial(build, name), _ESC_OPTIONS, _ESC_KEYS) for name in ("esc", "esc_light", "esc_fp")},
    "hit_srf": Released(
        _hit_srf,
        "scale=upscale channels=embed_dim heads=num_heads depths base=base_win_size "
        "ratios=hier_win_ratios expansion=expansion_factor",
        [
            *_OUTSIDE,
            (r"^layers\.(\d+)\.conv\.", r"stages.\1.out."),
            (r"^layers\.(\d+)\.residual_group\.", r"stages.\1."),
            *_parts(
                "norm1=attention_norm norm2=ffn_norm mlp.fc1=ffn.widen mlp.dwconv.depthwise_conv.0=ffn.depthwise "
                "mlp.fc2=ffn.narrow correlation.pos=attention.position.network network.pos_proj=network.0 "
                "network.pos1.0=network.1 network.pos1.2=network.3 network.pos2.0=network.4 network.pos2.2=network.6 "
                "network.pos3.0=network.7 network.pos3.2=network.9 correlation.qv.conv=attention.bottleneck "
                "correlation.qv.linear=attention.straight correlation.spatial_linear=attention.reduce "
                "correlation.proj=attention.out"
            ),
        ],
        pointwise=r"\.ffn\.(widen|narrow)\.weight$",
    ),
    "elan_light": Released(
        partial(build, "elan_light"),
        "scale channels=c_elan layers=m_elan reuses=n_share expansion=r_expand sides=window_sizes colours=rgb_range",
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
    "cata": Released(
        cata_block,
        "channels=dim query_channels=qk_dim hidden=mlp_dim heads iterations=n_iter centres=num_tokens "
        "group=group_size ema_decay",
        _CATA_KEYS,
        defaults={"ema_decay": 0.999},
        pointwise=_FFN,
    ),
    "catanet": Released(
        partial(build, "catanet"),
        "scale=upscale channels=dim blocks=block_num heads query_channels=qk_dim hidden=mlp_dim patches=patch_size "
        "centres=num_tokens group_sizes=group_size iterations=n_iters",
        [
            (r"^first_conv\.", "head."),
            (r"^last_conv\.", "to_image."),
            (r"^mid_convs\.(\d+)\.", r"blocks.\1.out."),
            (r"^upconv1?\.", "upsampler.0."),
            (r"^upconv2\.", "upsampler.2."),
            (r"^blocks\.(\d+)\.1\.layer\.1\.(norm|fn)\.", r"blocks.\1.local.mlp.\2."),
            (r"^blocks\.(\d+)\.1\.layer\.0\.norm\.", r"blocks.\1.local.norm."),
            (r"^blocks\.(\d+)\.1\.layer\.0\.fn\.", r"blocks.\1.local.iasa_attn."),
            (r"^blocks\.(\d+)\.0\.", r"blocks.\1.grouped."),
            *_CATA_KEYS,
        ],
        pointwise=_FFN,
    ),
    "atd_layer": Released(
        lambda shift, ratio, **options: atd_layer(ratio=float(ratio), shifted=shift > 0, **options),
        "channels=embed_dim heads=num_heads side=window_size shift=shift_size group=category_size "
        "entries=num_tokens rank=reducted_dim kernel_size=convffn_kernel_size ratio=mlp_ratio",
        [*_WINDOWED_FFN, *_ATD_KEYS],
        pointwise=_FFN,
        tables=_TABLES,
    ),
    "atd_light": Released(
        partial(build, "atd_light"),
        "scale=upscale channels=embed_dim depths heads=num_heads side=window_size group=category_size "
        "entries=num_tokens rank=reducted_dim kernel_size=convffn_kernel_size ratio=mlp_ratio",
        [*_WINDOWED_KEYS, *_ATD_KEYS],
        pointwise=_FFN,
        tables=_TABLES,
    ),
    "pft_light": Released(
        partial(build, "pft_light"),
        "scale=upscale channels=embed_dim depths heads=num_heads kept=num_topk side=window_size "
        "kernel_size=convffn_kernel_size ratio=mlp_ratio",
        [
            *_WINDOWED_KEYS,
            *_parts(
                "norm1=norm norm2=ffn_norm wqkv=to_qkv v_LePE.depthwise_conv.0=local attn_win.proj=out "
                "attn_win.relative_position_bias_table=position.table"
            ),
        ],
        pointwise=r"(ffn\.(widen|narrow)|\.to_qkv|\.layers\.\d+\.out)\.weight$",
        tables=_TABLES,
    ),
}
