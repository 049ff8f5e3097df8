"""Options of train.py."""

import dataclasses
from typing import ClassVar, Literal

from .base_options import BaseOptions
from .errors import UserError
from .evaluation_options import EvaluationOptions
from .fields import option

JUDGES = [  # what an evaluation asks; --resize says how, and goes with a run to its tests
    f.name
    for f in dataclasses.fields(EvaluationOptions)
    if f.name not in BaseOptions.__dataclass_fields__ and f.name != "resize"
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions(EvaluationOptions):
    section: ClassVar[str] = "training"
    is_train: ClassVar[bool] = True

    phase: str = option("train", "which split to read: <dataroot>/<phase>A, ...", per_run=True)
    n_epochs: int = option(200, "epochs at the initial learning rate", least=0, matters=True)
    n_epochs_decay: int = option(
        200, "epochs over which the learning rate falls linearly to zero", least=0, matters=True
    )
    max_steps: int = option(
        0, "end after so many optimizer steps, with epochs and learning rate fitted to them; 0 is no such end", least=0
    )
    lr: float = option(2e-4, "initial learning rate", least=0)
    beta1: float = option(0.5, "first momentum of Adam", least=0)
    beta2: float = option(0.999, "second momentum of Adam", least=0)
    adam_eps: float = option(1e-8, "what keeps Adam from dividing by zero", above=0)
    beta2_end: float | None = option(
        None, "second momentum of Adam where annealing ends (--anneal_images); none is --beta2", least=0, below=1
    )
    optimizer: Literal["adam", "adamw"] = option("adam", "adamw decays weights apart from the gradient")
    weight_decay: float = option(
        0.0, "weight decay of the optimizer, per step; of convolutions and linear layers alone", least=0
    )
    lr_policy: Literal["linear", "step", "plateau", "cosine"] = option(
        "linear", "shape of the learning rate over the whole run"
    )
    lr_decay_iters: int = option(50, "step: epochs between two cuts of the learning rate", least=1)
    lr_gamma: float = option(0.1, "step: factor on the learning rate at each cut", above=0)
    lr_min: float = option(0.0, "every policy: the learning rate never falls below this", least=0)
    anneal_images: int = option(
        0,
        "images in which --lr_policy cosine and all that anneals come to their end, along half a cosine; 0 is the run",
        least=0,
    )
    warmup_epochs: int = option(0, "every policy: epochs in which the learning rate rises to what it is", least=0)
    plateau_metric: str | None = option(None, "plateau: the logged loss whose mean over an epoch must fall, e.g. NCE")
    gan_mode: Literal["lsgan", "vanilla", "nonsaturating", "hinge", "hinge_paper", "wgangp"] = option(
        "lsgan", "adversarial loss"
    )
    pool_size: int = option(50, "earlier fakes kept for the discriminator; 0 turns the pool off", least=0)
    accumulate: int = option(1, "batches whose gradients are averaged into one update", least=1)
    bucket_mb: float = option(
        0,
        "several processes: send gradients in parts of so many megabytes meanwhile; 0 sends them afterwards",
        least=0,
        per_run=True,
    )
    sync_bn: bool = option(
        False, "several processes: batch norm counts the batches of all, as if they were one (torchrun)"
    )
    ema_decay: float = option(
        0.0,
        "decay per step of the generator's moving average, which rises to this over the first steps; 0 turns it off",
        least=0,
    )
    ema_half_life: int = option(
        0,
        "images in which the average forgets half, in place of --ema_decay; it anneals to this from 0; 0 is none",
        least=0,
    )
    continue_train: bool | Literal["auto"] = option(
        False,
        "continue this run exactly where its checkpoint left it; auto starts it where there is none",
        per_run=True,
        matters=True,
    )
    overwrite: bool = option(False, "delete an earlier run of the same name and start anew", per_run=True)
    epoch_count: int = option(1, "number of the first epoch; a continued run knows its own", least=1, per_run=True)
    pretrained_name: str | None = option(
        None, "start from the weights of another run of <checkpoints_dir>", per_run=True
    )
    save_latest_freq: int = option(
        5000,
        "images between two saves of the latest checkpoint; untold at most a tenth of the run",
        least=1,
        per_run=True,
        part_of_run=10,
    )
    save_epoch_freq: int = option(5, "epochs between two checkpoints that are kept", least=1, per_run=True)
    save_by_iter: bool = option(False, "keep the checkpoints of --save_latest_freq as iter_<n>", per_run=True)
    evaluation_freq: int = option(
        5000,
        "images between two evaluations; accepted for compatibility, unused upstream too",
        least=1,
        per_run=True,
        idle="--eval_freq evaluates",
    )
    eval_freq: int = option(
        0,
        "images between two evaluations by --eval_metrics, with one more at the end; 0 is none",
        least=0,
        per_run=True,
    )
    eval_metrics: tuple[str, ...] = option(
        (), "metrics of evaluations, e.g. fid,kid,l1; the first value of the first says which is best", per_run=True
    )
    eval_phase: Literal["auto", "val", "test"] = option(
        "auto", "what evaluations read; auto is val where the data have one, else test", per_run=True
    )
    eval_samples: int = option(
        1000, "images that an evaluation of a model from noise makes, as test.py's --num_samples", least=1, per_run=True
    )
    best_metric: str | None = option(
        None, "another value that says which evaluation is best, by its name, e.g. KID-domain", per_run=True
    )
    print_freq: int = option(
        100,
        "images between two lines of losses; untold at most a hundredth of the run",
        least=1,
        per_run=True,
        part_of_run=100,
    )
    display_freq: int = option(
        400,
        "images between two displays of results; untold at most a 40th of the run",
        least=1,
        per_run=True,
        part_of_run=40,
    )
    update_html_freq: int = option(
        1000,
        "images between two updates of the training page's pictures; untold at most a 40th of the run",
        least=1,
        per_run=True,
        part_of_run=40,
    )
    preview: int = option(
        4,
        "test pictures, the same ones, that are translated at every display in 1 % of the time; 0 is none",
        least=0,
        per_run=True,
    )
    no_html: bool = option(False, "write no training page", per_run=True)
    display_ncols: int = option(4, "visdom: images per row; 0 gives each its own window", least=0, per_run=True)
    display_id: int | None = option(
        None, "visdom: number of the first window; above 0 it turns visdom on", per_run=True
    )
    display_server: str = option("http://localhost", "visdom: server", per_run=True)
    display_env: str = option("main", "visdom: environment", per_run=True)
    display_port: int = option(8097, "visdom: port", least=1, per_run=True)
    use_visdom: bool = option(False, "show losses and images live in visdom", per_run=True)
    use_tensorboard: bool = option(False, "write TensorBoard events to <run>/tensorboard", per_run=True)
    use_wandb: bool = option(False, "log to Weights & Biases", per_run=True)
    wandb_project: str = option("diptych", "W&B: project", per_run=True)

    @property
    def total_epochs(self) -> int:
        return self.n_epochs + self.n_epochs_decay

    def validate(self) -> None:
        if self.epoch_count > max(1, self.total_epochs):
            raise UserError(f"--epoch_count {self.epoch_count}: the run has only {self.total_epochs} epochs")
        if self.max_steps and self.epoch_count > 1:
            raise UserError(
                f"--max_steps {self.max_steps} --epoch_count {self.epoch_count}: steps are counted from the start of "
                "the run; leave one of them out"
            )
        if not self.total_epochs:
            what = f"--max_steps {self.max_steps}" if self.max_steps else "a run without epochs trains nothing"
            raise UserError(f"{what}: --n_epochs and --n_epochs_decay are both 0; give one of them")
        if self.max_steps and self.lr_policy == "plateau":
            raise UserError(
                f"--max_steps {self.max_steps} --lr_policy plateau: a plateau is watched over whole epochs; give "
                "--n_epochs without --max_steps, or another --lr_policy"
            )
        if self.eval_freq and not self.eval_metrics:
            raise UserError(
                f"--eval_freq {self.eval_freq}: evaluates by --eval_metrics, and there are none, e.g. fid,l1"
            )
        asked = {"eval_metrics": ",".join(self.eval_metrics), "best_metric": self.best_metric}
        asked |= {name: getattr(self, name) for name in JUDGES}
        idle = next((f"--{flag} {value}" for flag, value in asked.items() if value), None)
        if idle and not self.eval_freq and self.continue_train is not True:
            raise UserError(f"{idle}: nothing is evaluated without --eval_freq, images between two evaluations")
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise UserError(f"--beta1 {self.beta1} --beta2 {self.beta2}: momentum must be below 1")
        if self.lr_gamma > 1:
            raise UserError(f"--lr_gamma {self.lr_gamma}: must be at most 1; 0.5 halves the learning rate")
        if self.warmup_epochs > self.total_epochs:
            raise UserError(f"--warmup_epochs {self.warmup_epochs}: the run has only {self.total_epochs} epochs")
        if self.lr_min > self.lr:
            raise UserError(f"--lr_min {self.lr_min}: must be at most --lr {self.lr}")
        if self.ema_decay >= 1:
            raise UserError(f"--ema_decay {self.ema_decay}: must be below 1; 0.999 is usual")
        anneals = self.lr_policy == "cosine" or self.beta2_end is not None or self.ema_half_life > 0
        anneals |= getattr(self, "anneal_r", 1) != 1 or getattr(self, "augment_p_from", None) is not None
        if self.anneal_images and not anneals:
            raise UserError(
                f"--anneal_images {self.anneal_images}: nothing anneals; --lr_policy cosine, --beta2_end, "
                "--ema_half_life, --anneal_r and --augment_p_from do"
            )
        if self.ema_half_life and not self.ema_decay:
            raise UserError(
                f"--ema_half_life {self.ema_half_life} --ema_decay 0: 0 is no average; leave one of them out"
            )
        if self.continue_train and self.overwrite:
            raise UserError("--continue_train and --overwrite contradict each other; give one of them")
        if self.epoch != "latest" and not self.continue_train and self.pretrained_name is None:
            raise UserError(
                f"--epoch {self.epoch}: says which checkpoint --continue_train or --pretrained_name begins with; give "
                "one of them"
            )
        if self.continue_train == "auto" and self.epoch != "latest" and self.pretrained_name is None:
            raise UserError(
                f"--continue_train auto --epoch {self.epoch}: every restart would go back to it; auto goes on from the "
                "latest, --continue_train without a value from any"
            )
        if self.plateau_metric is not None and self.lr_policy != "plateau" and not self.continue_train:
            raise UserError(f"--plateau_metric {self.plateau_metric}: is watched with --lr_policy plateau alone")
        if self.lr_policy == "plateau" and self.plateau_metric is None:
            raise UserError("--lr_policy plateau needs --plateau_metric, the logged loss to watch, e.g. NCE")
