"""The matrix: which runs a profile asks for."""

from __future__ import annotations

from copy import copy

from srlab.data.sources import DataSource
from srlab.measure.costs import height_and_width
from srlab.measure.recall import settings_hash
from srlab.models import entry, trunk_networks
from srlab.study.claims_timing import measured
from srlab.study.profiles import Profile, Size
from srlab.study.rules import rules
from srlab.study.runs import LimitsRun, Network, RecallRun, Run, TimingRun, TrainingRun, options_of

#: LR side in pixels at which the networks that a profile trains are timed.
TRAINED_SIDE = 64
#: Rounds of quick calls in each fresh process.
CLAIMS_ROUNDS = 3
#: The profile's own recipe among others.
CHOSEN = "as chosen"
#: Sides M of FGCA's windows that are timed.
ROUTED_SIDES = (4, 8, 16)


class Matrix:
    """The runs of a profile on some data and device: each sweep and comparison by its name.

    Whoever is one has the attributes; :class:`~srlab.study.study.Study` does.

    Attributes
    ----------
    profile : Profile
    data : DataSource
    device : str
        As in the results folder's name.
    """

    profile: Profile
    data: DataSource
    device: str

    def network(self, model: str, **options: object) -> Network:
        """A network with the profile's sizes where it has such options, its own, and these on top."""
        known = options_of(model)
        sizes = {key: value for key, value in self.profile.network.items() if key in known}
        own = self.profile.options.get(model, {})
        start = {"skip": self.profile.skip, "first": self.profile.first}
        start = {key: value for key, value in start.items() if value != "published"}
        return Network(model=model, options={**known, **sizes, **own, **start, **options})

    def training(
        self, model: str, seed: int | None = None, photographs: int | None = None, **options: object
    ) -> TrainingRun:
        """The run that trains `model` as this profile does, with these options; the first seed by default."""
        return TrainingRun(
            network=self.network(model, **options),
            scale=self.profile.scale,
            data=self.data.fingerprint,
            benchmarks=tuple(self.data.benchmarks),
            budget=self.profile.training,
            seed=self.profile.seeds[0] if seed is None else seed,
            photographs=photographs,
            device=self.device,
        )

    def _over_seeds(self, model: str, **options: object) -> list[TrainingRun]:
        return [self.training(model, seed, **options) for seed in self.profile.seeds]

    def comparison(self) -> list[TrainingRun]:
        """Every model of the profile, every seed."""
        return [run for model in self.profile.models for run in self._over_seeds(model)]

    def sharing(self) -> list[TrainingRun]:
        """Sparse or dense, shared or not, and no non-local attention: LSP against CoA."""
        cells = ("no_attention", "trunk_nla", "trunk_nla_shared", "trunk_lsp", "lcoan")
        return [run for model in cells if model in self.profile.models for run in self._over_seeds(model)]

    def cluster_sweep(self) -> list[TrainingRun]:
        """`lcoan` with each number of clusters k."""
        return [run for k in self.profile.clusters for run in self._over_seeds("lcoan", clusters=k)]

    def window_sweep(self) -> list[TrainingRun]:
        """`lcoan` with each window w."""
        return [run for w in self.profile.windows for run in self._over_seeds("lcoan", window=w)]

    def centroid_sweep(self) -> list[TrainingRun]:
        """`lcoan` with centroids frozen after the first batch, and with each λ of their moving average."""
        if not self.profile.decays:
            return []
        frozen = self._over_seeds("lcoan", centroid_update="frozen")
        decays = self.profile.decays
        return frozen + [run for decay in decays for run in self._over_seeds("lcoan", ema_decay=decay)]

    def renewal_sweep(self) -> list[TrainingRun]:
        """Weights computed in every layer, in every n-th, and once for all."""
        if not self.profile.renewals:
            return []
        renewed = [run for n in self.profile.renewals for run in self._over_seeds("lcoan", renew_every=n)]
        return [*self._over_seeds("trunk_lsp"), *renewed, *self._over_seeds("lcoan")]

    def unit_sweep(self) -> list[TrainingRun]:
        """`lcoan` and the trunk without attention, with each number of units."""
        return [
            run
            for model in ("no_attention", "lcoan")
            for groups in self.profile.units
            for run in self._over_seeds(model, groups=groups)
        ]

    def side_sweep(self) -> list[TrainingRun]:
        """`trunk_window` with windows of each side."""
        return [run for side in self.profile.sides for run in self._over_seeds("trunk_window", side=side)]

    def similarity(self) -> list[TrainingRun]:
        """Networks whose layers are compared: shared weights, weights of their own, window attention."""
        models = [model for model in ("lcoan", "trunk_lsp", "trunk_window") if model in self.profile.models]
        return [run for model in models for run in self._over_seeds(model)]

    def photograph_sweep(self) -> list[TrainingRun]:
        """Some networks trained on fewer images, and on all."""
        return [
            run
            for model in self.profile.photograph_models
            for photographs in (*self.profile.photographs, None)
            for run in self._over_seeds(model, photographs=photographs)
        ]

    def trunks(self) -> list[TrainingRun]:
        """Trunks without attention, trained long: what branches go on from."""
        if self.profile.branch is None:
            return []
        budget = self.profile.budget(**self.profile.branch.trunk)
        return [run.model_copy(update={"budget": budget}) for run in self._over_seeds("no_attention")]

    def branches(self) -> list[TrainingRun]:
        """Each arm gone on with from the trunk of each seed, behind gates that are closed at first."""
        branch = self.profile.branch
        if branch is None:
            return []
        budget = self.profile.budget(**branch.training)
        arms = [(model, {}) for model in branch.models] + [("trunk_window", {"side": side}) for side in branch.sides]
        return [
            self.training(model, trunk.seed, gates="closed", **options).model_copy(
                update={"budget": budget, "start_from": trunk.hash}
            )
            for model, options in arms
            for trunk in self.trunks()
        ]

    def start_of(self, run: TrainingRun) -> TrainingRun:
        """The run that a branch goes on from."""
        return next(trunk for trunk in self.trunks() if trunk.hash == run.start_from)

    def recalls(self) -> list[RecallRun]:
        """Every network of the recall experiment from every seed, then the variants of some from the first."""
        recall = self.profile.recall
        if recall is None:
            return []
        variants = [
            self.recalled(model, **{key: value})
            for model, options in recall.variants.items()
            for key, values in options.items()
            for value in values
        ]
        models = recall.models or trunk_networks()
        return [self.recalled(model, seed) for model in models for seed in self.profile.seeds] + variants

    def recalled(self, model: str, seed: int | None = None, **options: object) -> RecallRun:
        """The run that trains `model` on recall images, as the profile does; the first seed by default."""
        recall = self.profile.recall
        return RecallRun(
            network=self.network(model, **options),
            scale=self.profile.scale,
            scene=recall.scene,
            settings=settings_hash(),
            budget=self.profile.budget(**recall.training, patch=recall.scene.side),
            seed=self.profile.seeds[0] if seed is None else seed,
            device=self.device,
        )

    def recipe_sweep(self) -> dict[str, list[TrainingRun]]:
        """The comparison by the profile's own recipe, named `CHOSEN`, and by each of its others."""
        sweep = {CHOSEN: self.comparison()}
        for name, recipe in self.profile.recipes.items():
            other = copy(self)
            other.profile = recipe.applied(self.profile)
            sweep[name] = other.comparison()
        return sweep

    def trained(self) -> list[TrainingRun]:
        """Every training run by the profile's own recipe, each once."""
        every = [
            *self.comparison(),
            *self.sharing(),
            *self.cluster_sweep(),
            *self.window_sweep(),
            *self.renewal_sweep(),
            *self.centroid_sweep(),
            *self.side_sweep(),
            *self.unit_sweep(),
            *self.photograph_sweep(),
        ]
        return list({run.hash: run for run in every}.values())

    def costs(self) -> TimingRun:
        """The networks that the profile trains by its own recipe, measured in turn on one size of input."""
        networks = {self.label(run): run.network for run in self.trained()}
        return self._timing("trained", networks, (TRAINED_SIDE,))

    def label(self, run: TrainingRun | RecallRun) -> str:
        """The model of a run, and what of it is not as the profile has it, e.g. "trunk_window side=8"."""
        default = self.network(run.network.model).options | {"gates": "closed"}
        own = [f"{key}={value}" for key, value in run.network.options.items() if value != default[key]]
        return " ".join([run.network.model, *own])

    def timing(self) -> TimingRun:
        """The networks measured in turn; those that share weights both ways, recomputing and storing them."""
        timing = self.profile.timing
        models = self._timed_models()
        networks = {model: self.network(model, **self._timed(model)) for model in models}
        for model in ("lcoan", "trunk_nla_shared"):
            if model in models:
                networks[f"{model} (stored)"] = self.network(model, sharing="stored", **self._timed(model))
        return self._timing("growth", networks, timing.sizes, inside=True)

    def windows_timing(self) -> TimingRun:
        """One window attention layer with windows of each side, by each back-end."""
        timing = self.profile.timing
        networks = {}
        for side in timing.sides:
            for backend in timing.backends:
                how = {"position": "rib"} if backend == "rib" else {"position": "table", "backend": backend}
                networks[f"{side} {backend}"] = self._one_layer("trunk_window", side=side, **how)
        return self._timing("windows", networks, timing.sizes[-1:])

    def routing_timing(self) -> TimingRun:
        """One layer of FGCA with windows of each size and each number of chosen windows, and of BRA."""
        timing = self.profile.timing
        networks = {}
        for top in timing.tops:
            for side in ROUTED_SIDES:
                networks[f"trunk_fgca M={side} top={top}"] = self._one_layer("trunk_fgca", side=side, top=top)
            networks[f"trunk_bra top={top}"] = self._one_layer("trunk_bra", top=top)
        return self._timing("routing", networks, timing.sizes)

    def scale_timing(self) -> list[TimingRun]:
        """The timed networks at each scale; ×4 also on its own output, since ×16 is ×4 twice."""
        timing = self.profile.timing
        networks = {model: self.network(model, **self._timed(model)) for model in self._timed_models()}
        size = timing.sizes[0]
        return [
            self._timing("scale", networks, (size, 4 * size) if scale == 4 else (size,), scale)
            for scale in timing.scales
        ]

    def claims_timing(self) -> list[TimingRun]:
        """What the papers' claims about time and memory are judged on, in fresh processes; none if not asked for."""
        claims, law = self.profile.claims, rules().costs
        if claims is None:
            return []
        return [
            TimingRun(
                about=f"claims-{about}",
                networks=networks,
                scale=4 if about == "networks" else self.profile.scale,
                sizes=sizes,
                repeats=CLAIMS_ROUNDS,
                warmup=1,
                processes=claims.processes or law.processes,
                limit_s=law.network_limit_s if about == "networks" else law.limit_s,
                limit_mib=law.limit_mib,
                device=self.device,
            )
            for about, (networks, sizes) in measured(claims).items()
        ]

    def limits(self) -> LimitsRun:
        """How large a map one layer of each timed mechanism can take."""
        timing = self.profile.timing
        on_trunk = [model for model in self._timed_models() if model in trunk_networks()]
        return LimitsRun(
            networks={model: self._one_layer(model) for model in on_trunk if model != "no_attention"},
            scale=self.profile.scale,
            sizes=tuple(height_and_width(size) for size in timing.limits),
            limit_s=timing.limit_s,
            limit_mib=timing.limit_mib,
            device=self.device,
        )

    def _timed_models(self) -> tuple[str, ...]:
        return self.profile.timing.models or self.profile.models

    def _one_layer(self, model: str, **options: object) -> Network:
        return self.network(model, **self._timed(model) | {"groups": 1, "blocks": 1} | options)

    def _timing(
        self,
        about: str,
        networks: dict[str, Network],
        sizes: tuple[Size, ...],
        scale: int | None = None,
        inside: bool = False,
    ) -> TimingRun:
        timing = self.profile.timing
        return TimingRun(
            about=about,
            networks=networks,
            scale=scale or self.profile.scale,
            sizes=sizes,
            repeats=timing.repeats,
            warmup=timing.warmup,
            inside=inside,
            device=self.device,
        )

    def _timed(self, model: str) -> dict[str, int]:
        known = entry(model).options
        return {key: value for key, value in self.profile.timing.network.items() if key in known}

    def runs(self) -> list[Run]:
        """Every run of the profile: those that measure time first, then seed by seed."""
        by_recipe = [run for runs in self.recipe_sweep().values() for run in runs]
        every = [*self.trunks(), *self.branches(), *self.trained(), *by_recipe, *self.recalls()]
        training = sorted({run.hash: run for run in every}.values(), key=lambda run: run.seed)
        if self.profile.timing is None:
            return [*self.claims_timing(), *training]
        timings = [
            self.costs(),
            self.timing(),
            self.windows_timing(),
            self.routing_timing(),
            *self.scale_timing(),
            *self.claims_timing(),
        ]
        return [*timings, self.limits(), *training]
