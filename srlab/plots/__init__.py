"""Figures, tables and sentences, from data frames and arrays.

Three steps, each usable by itself: records become tidy frames; frames become figures and tables; frames
become sentences that claim no more than the spread allows. Figures are as wide as two columns of a paper
(7 inches), so what is 7 pt here is 7 pt in print.
"""

from srlab.plots import answers
from srlab.plots.clusters import (
    centroid_drift,
    cluster_colours,
    cluster_maps,
    cluster_view,
    describe_cluster,
    describe_drift,
    describe_typical,
    patch_sheet,
)
from srlab.plots.drawings import DRAWINGS, Drawing, answer, draw, redraw, shown
from srlab.plots.findings import (
    cheaper,
    describe,
    describe_look,
    looking,
    measured_cost,
    measured_quality,
    settled,
    signed,
    trained,
    unevenness,
    verdict,
)
from srlab.plots.frames import (
    ALL,
    backends,
    costs,
    curves,
    differences,
    growth,
    late_gains,
    limits,
    means,
    paired,
    quality,
    roofline,
    routing,
    scales,
    timed,
    timings,
)
from srlab.plots.maps import LR_PIXELS, TITLE, attention, panel_maps, reach, shrink_factor, weight_maps
from srlab.plots.output import (
    BETTER,
    DIGITS,
    claims_markdown,
    claims_table,
    measured_claim,
    overview,
    save,
    swept,
    table,
    with_unit,
)
from srlab.plots.studies import (
    cluster_sizes,
    comparison,
    convergence,
    draw_gains,
    gains,
    pictures,
    scaling,
    sharing,
    sweep,
    training,
)
from srlab.plots.style import DOUBLE, HOUSE, INK, NAMES, NO_RUN, STORED, STYLE, Appearance, blank, look
