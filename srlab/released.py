"""Released implementations: how their configurations and weights are named, and what they are here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from srlab.attention import LSP, NLA, CoA
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
    """

    make: Callable[[Mapping[str, object]], nn.Module]
    keys: list[tuple[str, str | None]]

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
                renamed[name] = tensor
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
    return NLA(config["channels"], config["reduction"], config["res_scale"])


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
}
