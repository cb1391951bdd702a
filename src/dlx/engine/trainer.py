"""The loop: once in a while evaluate, once in a while save, one step, log. It knows no task, model or data set."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

from torch import nn
from torch.optim import Optimizer

from dlx.core import Batch, Logger, Schedule, Source, Table, Task, Thawing, to_device
from dlx.engine import rehearsal
from dlx.engine.actor import Actor
from dlx.engine.compiling.choice import compiled
from dlx.engine.data_wait import STEPS_JUDGED, Waiting
from dlx.engine.device import Device
from dlx.engine.ema import MovingAverage
from dlx.engine.evaluator import Evaluation, MakeMetrics, evaluate
from dlx.engine.options import SPACING, TrainerOptions
from dlx.engine.record import Record, Unrecorded
from dlx.engine.step import NonFiniteError, Stepper, Totals
from dlx.errors import ComponentError, DlxError, InterruptedBySignalError

PULSE = 0.1  # seconds between two signs of progress


class Trainer:
    """Trains a task on a source until its last step."""

    def __init__(
        self,
        task: Task,
        source: Source,
        optimizers: Mapping[str, Optimizer],
        schedules: Mapping[str, Schedule],
        make_metrics: MakeMetrics,
        device: Device,
        seed: int,
        total_steps: int,
        options: TrainerOptions,
    ) -> None:
        self.task, self.source, self.device, self.seed = task, source, device, seed
        self.optimizers, self.schedules, self.make_metrics = optimizers, schedules, make_metrics
        self.total_steps, self.options = total_steps, options
        self.steps_per_epoch = math.ceil(source.batches_per_epoch / options.accumulate) if source.batches_per_epoch else None
        self.evaluate_every = options.evaluate_every or self.steps_per_epoch or max(total_steps // 20, 1)
        self.average = MovingAverage(task, options.ema) if options.ema else None
        self.stepper = Stepper(task, optimizers, device, options.clip_norm, self.average)
        self.waiting = Waiting(min(STEPS_JUDGED, self.steps_per_epoch or STEPS_JUDGED), source.remedy)
        self.base_lr = {part: [g["lr"] for g in o.param_groups] for part, o in optimizers.items()}
        self.factor = dict.fromkeys(optimizers, 1.0)
        self.left_factors: dict[str, float] = {}  # of the last step before a resume
        self.monitor, self.higher_is_better = options.monitor, True
        self.actor = Actor(task, device)
        self.logger, self.record = Logger(), cast(Record, Unrecorded())
        source.listen(self.stop_while_waiting)
        # The state that a checkpoint holds, beside the tensors.
        self.step, self.seconds, self.evaluations_without_best, self.saved_step = 0, 0.0, 0, -1
        self.best: dict[str, Any] | None = None  # {"step", "name", "value", "loss"}
        self.totals: Totals = {}
        self.finished_early = self.rehearsed = False
        self.best_state: Any = None  # a best checkpoint that is not saved yet
        self.best_found: Evaluation | None = None

    def fit(self, logger: Logger | None = None, record: Record | None = None) -> None:
        """Train to the last step; raises NonFiniteError, InterruptedBySignalError, or what a component raises.

        `logger` has the numbers and pictures, and `record` the states; without them they are lost.
        """
        self.logger, self.record = logger or self.logger, record or self.record
        if not self.rehearsed:
            self.rehearse()
        self.stepper = compiled(self.stepper, self.source, self.options.accumulate, self.total_steps, self.logger.message)
        self.save_checkpoint()  # so that a folder that takes no checkpoint is known before the first step
        self.stop_if_asked()  # of signals that came meanwhile
        self.task.train()
        begun, before, next_pulse = time.perf_counter(), self.seconds, 0.0
        self.finished_early = self.waits_no_longer()
        self.tell_of_resuming()
        for group in () if self.finished_early else self.groups():
            self.set_learning_rates()
            self.descend(group)
            now = time.perf_counter()
            self.seconds = before + now - begun
            self.waiting.add(now)
            if now >= next_pulse:
                self.logger.progress(self.step, self.total_steps)
                next_pulse = now + PULSE
            self.after_step()
            if self.finished_early:
                break
        self.finish()

    def tell_of_resuming(self) -> None:
        """Say what a resumed run may do that is not expected: nothing at all, or a jump of the learning rate."""
        if self.finished_early and self.step < self.total_steps:
            why = (
                f"it had stopped early, since there was no better {self.monitor} in {self.evaluations_without_best} evaluations"
            )
            self.logger.message(f"step {self.step}: {why}; a larger trainer.early_stopping, or null, lets it go on")
        for told in rehearsal.raised(self.left_factors, self.schedules, self.base_lr, self.step, self.total_steps):
            self.logger.message(f"step {self.step}: {told}")

    def groups(self) -> Iterator[list[Batch]]:
        """Yield the micro-batches of every step left; no step reaches over the end of an epoch."""
        while self.step < self.total_steps:
            before = self.step
            self.enter_epoch(self.step)
            for _ in self.source.prepare(self.actor):
                self.stop_if_asked()
            batches = iter(self.source.train(self.actor))
            while self.step < self.total_steps and (group := self.waiting.take(batches, self.options.accumulate, self.source)):
                yield [to_device(batch, self.device.device) for batch in group]
            if self.step == before:
                raise DlxError("the data source yields no training batch")

    def enter_epoch(self, step: int) -> None:
        """Tell the model which epoch a step belongs to: it may thaw at one."""
        model: nn.Module = self.task.model
        if self.steps_per_epoch and isinstance(model, Thawing):
            model.enter_epoch(step // self.steps_per_epoch)

    def descend(self, group: list[Batch]) -> None:
        """Take one step; a failure names its number."""
        try:
            self.stepper(group, self.totals)
        except NonFiniteError as error:
            raise NonFiniteError(f"step {self.step + 1}: {error}") from None
        for index, feedback in self.stepper.feedback:
            self.source.hear(index, feedback)
        self.step += 1

    def after_step(self) -> None:
        """Log, evaluate and save where the step asks for it."""
        last = self.step == self.total_steps
        if last or self.step % self.evaluate_every == 0:
            self.evaluate()
        elif self.step % self.options.log_every == 0:
            self.log({})
        if self.options.save_every and self.step % self.options.save_every == 0:
            self.save_checkpoint()
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Stop, with everything saved, where a signal asks for it."""
        if signal := self.record.stop_signal():
            self.finish()
            raise InterruptedBySignalError(signal)

    def stop_while_waiting(self) -> None:
        """Stop where a signal asks for it while a batch is waited for; in an evaluation, without saving: it comes out again."""
        if signal := self.record.stop_signal():
            if self.waiting.return_to_step(self.source):
                self.finish()
            raise InterruptedBySignalError(signal)

    def evaluate(self) -> None:
        """Evaluate on the validation split, judge, log and save."""
        if "val" in self.source.splits():
            found = self.validate()
            is_best = self.update_best(found.scalars)
            numbers = self.log({f"val/{name}": value for name, value in found.scalars.items()})
            for remark in self.task.remarks(numbers):
                self.logger.message(f"step {self.step}: {remark}")
            for name, shown in found.shown.items():
                if isinstance(shown, Table):
                    self.logger.table(self.step, name, shown)
                else:
                    self.logger.frame(self.step, name, shown)
            if is_best:
                self.best_found, self.best_state = found, self.record.snapshot(self, resumable=False)
        else:
            self.log({})
        if not self.options.save_every and self.step - self.saved_step >= SPACING:
            self.save_checkpoint()
        if self.waits_no_longer() and self.step < self.total_steps:
            self.finished_early = True
            self.logger.message(
                f"step {self.step}: no better {self.monitor} in {self.evaluations_without_best} evaluations; stopping early"
            )

    def waits_no_longer(self) -> bool:
        """Return whether so many evaluations were without a new best that training ends."""
        return bool(self.options.early_stopping and self.evaluations_without_best >= self.options.early_stopping)

    def validate(self, batches: int | None = None) -> Evaluation:
        """Evaluate the first batches of the validation split, or all, with the averaged weights where there are any."""
        with self.average.applied() if self.average else contextlib.nullcontext():
            stream = islice(self.source.evaluate(self.actor, "val"), batches)
            return evaluate(self.task, stream, self.make_metrics, self.device, self.seed, self.task.show)

    def update_best(self, scalars: Mapping[str, float]) -> bool:
        """Compare the monitored number with the best so far; of equals, the smaller loss is better."""
        assert self.monitor
        value, loss = scalars[self.monitor], scalars.get("loss", 0.0)
        for name, number in ((self.monitor, value), ("loss", loss)):
            if not math.isfinite(number):
                raise NonFiniteError(f"step {self.step}: the validation {name} is {number}")
        sign = 1 if self.higher_is_better else -1
        better = self.best is None or (sign * value, -loss) > (sign * self.best["value"], -self.best["loss"])
        if better:
            self.best = {"step": self.step, "name": self.monitor, "value": value, "loss": loss}
        self.evaluations_without_best = 0 if better else self.evaluations_without_best + 1
        for schedule in self.schedules.values():
            schedule.observe(value, better)
        return better

    def rehearse(self) -> None:
        """Try on few samples what training does: one evaluation batch with every metric, and the smallest training batches."""
        if "val" in self.source.splits():
            self.monitor, self.higher_is_better = rehearsal.monitored(self.validate, self.monitor)
        elif self.monitor or self.options.early_stopping:
            place = ("trainer", "monitor" if self.monitor else "early_stopping")
            raise ComponentError("needs a validation split, and the data has none", place)
        self.rehearse_small_batches()
        self.rehearsed = True

    def rehearse_small_batches(self) -> None:
        """Try the training batches to come that have few samples, with all thawed that ever will be."""
        sizes = self.source.batch_sizes if self.total_steps >= (self.steps_per_epoch or 0) else self.source.batch_sizes[:1]
        if self.total_steps:
            self.enter_epoch(self.total_steps - 1)
            rehearsal.small_batches(self.task, self.source, sizes, self.device, self.seed)
            self.enter_epoch(self.step)

    def set_learning_rates(self) -> None:
        """Give every optimizer the rate of the coming step."""
        for part, schedule in self.schedules.items():
            factor = schedule.factor(self.step)
            if factor != self.factor[part]:
                self.factor[part] = factor
                for group, base in zip(self.optimizers[part].param_groups, self.base_lr[part], strict=True):
                    group["lr"] = base * factor

    def log(self, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """Write the means since the last line, the learning rates, and more numbers, as one line; give them."""
        means = {f"train/{name}": total / items for name, (total, items) in self.totals.items() if items}
        rates = {f"train/lr{'/' * bool(part)}{part}": o.param_groups[0]["lr"] for part, o in self.optimizers.items()}
        self.totals = {}
        epoch = {"epoch": round(self.step / self.steps_per_epoch, 4)} if self.steps_per_epoch else {}
        now = {**epoch, "seconds": round(self.seconds, 3), **self.source.numbers()}
        numbers = {**now, **means, "train/waiting": self.waiting.share(), **rates, **scalars}
        self.logger.log(self.step, numbers)
        if advice := self.waiting.advice():
            self.logger.message(f"step {self.step}: {advice}")
        return numbers

    def save_checkpoint(self) -> None:
        """Save this very step, and the best one where it waits for that."""
        if self.saved_step == self.step:
            return
        best, self.best_state = self.best_state, None
        is_newest = best is not None and self.best and self.best["step"] == self.step
        newest = best if is_newest and not self.source.keeps_tensors else self.record.snapshot(self, resumable=True)
        self.record.save(self, [newest] if best is None or is_newest else [best, newest])
        self.saved_step = self.step

    def finish(self) -> None:
        """See that the last step is saved and the best evaluation drawn, whatever came last."""
        self.save_checkpoint()
        self.logger.progress(self.step, self.total_steps)
        try:
            for name, picture in self.best_found.pictures().items() if self.best_found else ():
                self.logger.picture(self.step, f"val_{name}", picture)
        except Exception as error:  # all that matters is saved: a failure to draw is no failure of the run
            self.logger.message(f"warning: the best evaluation could not be drawn: {error}")

    def state_dict(self) -> dict[str, Any]:
        """Tell the state beside the tensors, as JSON values."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "waited": self.evaluations_without_best,
            "best": self.best,
            "totals": self.totals,
            "monitor": self.monitor,
            "source": self.source.state_dict(),
            "schedules": {part: schedule.state_dict() for part, schedule in self.schedules.items()},
            "factors": self.factor,
            "average_updates": self.average.updates if self.average else 0,
            "compiles": self.stepper.compiles,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        self.step = self.saved_step = state["step"]
        self.seconds, self.evaluations_without_best, self.best = state["seconds"], state["waited"], state["best"]
        self.totals = {name: list(total) for name, total in state["totals"].items()}
        self.left_factors = dict(state.get("factors", {}))  # absent in checkpoints of older versions
        self.stepper.compiles = state.get("compiles")
        self.source.load_state_dict(state["source"])
        for part, schedule in self.schedules.items():
            schedule.load_state_dict(state["schedules"][part])
        if self.average:
            self.average.updates = state["average_updates"]
