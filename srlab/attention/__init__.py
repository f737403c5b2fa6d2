"""Attention mechanisms, one a file, each keeping the contract of :mod:`srlab.attention.contract`."""

from srlab.attention.coa import CoA
from srlab.attention.contract import Attention, Pattern, dense_attention
from srlab.attention.kmeans import SphericalKMeans
from srlab.attention.lsp import LSP
from srlab.attention.nla import NLA
from srlab.attention.sorted_windows import SortedWindows

__all__ = ["LSP", "NLA", "Attention", "CoA", "Pattern", "SortedWindows", "SphericalKMeans", "dense_attention"]
