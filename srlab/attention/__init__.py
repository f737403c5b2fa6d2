"""Attention mechanisms, one a file, each keeping the contract of :mod:`srlab.attention.contract`."""
# ruff: noqa: F401

from srlab.attention.atd import ATD
from srlab.attention.bra import BRA
from srlab.attention.cata import CATA
from srlab.attention.coa import CoA
from srlab.attention.coa_sum import SummedLSP, SummedNLA
from srlab.attention.contract import Attending, Attention, Pattern, dense_attention
from srlab.attention.conv_attn import ConvAttn, DecomposedKernel, LargeKernel
from srlab.attention.enla import ENLA
from srlab.attention.fgca import FGCA
from srlab.attention.focused_windows import PFA
from srlab.attention.gmsa import GMSA, SharedGMSA
from srlab.attention.kmeans import SphericalKMeans
from srlab.attention.local import LocalConvolution
from srlab.attention.lsp import LSP
from srlab.attention.nla import NLA
from srlab.attention.nlsa import NLSA
from srlab.attention.routed_windows import RoutedWindows
from srlab.attention.scc import SCC
from srlab.attention.sorted_groups import SortedGroups
from srlab.attention.sorted_windows import SortedWindows
from srlab.attention.window import ImplicitPosition, PositionTable, WindowAttention
