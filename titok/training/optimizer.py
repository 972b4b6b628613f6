"""Who is updated and how: AdamW's two parameter groups, and the players of a training run.

Most tasks have one player, the model. Adversarial tasks have two, and each has its own optimizer, schedule and
gradient clipping (specification 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from titok.config.training import Training
from titok.runtime.processes import smallest
from titok.training.gradients import Gradients, LossScaler
from titok.training.schedule import learning_rate

_SPARED = ("ln", "bias", "latent_tokens", "mask_token", "embedding", "norm", "gamma", "embed")


def is_decayed(name: str, parameter: Tensor) -> bool:
    """Whether weight decay pulls on a parameter: matrices and kernels do, vectors and tables of tokens do not.

    The released rule looks for parts of names (specification 8.3). Its reach is wider than its words: ``embed`` also
    spares ``patch_embed.weight`` and ``decoder_embed.weight``, which are ordinary projections.
    """
    return parameter.ndim >= 2 and not any(part in name for part in _SPARED)


def parameter_groups(
    parameters: Mapping[str, nn.Parameter], weight_decay: float, rule: Literal["by_name", "matrices"] = "by_name"
) -> list[dict[str, Any]]:
    """AdamW's groups: spared parameters first, decayed ones second; an empty group is left out.

    ``rule`` is the settings' `decayed`: the released rule, or whatever has two or more dimensions.
    """
    pulls = is_decayed if rule == "by_name" else lambda name, parameter: parameter.ndim >= 2
    spared = [parameter for name, parameter in parameters.items() if not pulls(name, parameter)]
    decayed = [parameter for name, parameter in parameters.items() if pulls(name, parameter)]
    groups = [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": weight_decay}]
    return [group for group in groups if group["params"]]


def trainable_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of ``module`` that want gradients, by name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


class Player:
    """The trainable parameters of one module, with the optimizer that owns them.

    ``learning_rate`` replaces the settings' own. A player that joins at ``start_step`` has its own warm-up there and
    ends together with the others.
    """

    def __init__(
        self,
        module: nn.Module,
        training: Training,
        *,
        learning_rate: float | None = None,
        start_step: int = 0,
        optimizer: torch.optim.Optimizer | None = None,
        scaler: LossScaler | None = None,
    ) -> None:
        """``optimizer``: another one than AdamW, of the same parameters; it heeds ``found_inf`` as fused AdamW does.
        ``scaler``: that of the player whose turn comes before, where there is one."""
        self.parameters = trainable_parameters(module)
        if not self.parameters:
            raise ValueError(f"{type(module).__name__} has no trainable parameter for an optimizer to own")
        self.training = training
        self.start_step = start_step
        settings = training.optimizer
        self._base = settings.learning_rate if learning_rate is None else learning_rate
        # One fused kernel: three times as fast as the default for a hundred small tensors, on CPUs too.
        self.optimizer = optimizer or torch.optim.AdamW(
            parameter_groups(self.parameters, settings.weight_decay, settings.decayed),
            lr=self._base,
            betas=settings.betas,
            eps=settings.eps,
            fused=True,
        )
        self._list = list(self.parameters.values())
        self.gradients = Gradients(self._list)
        self.scaler = scaler or LossScaler(training.compute.precision == "fp16")
        self._stopped = torch.zeros(())
        self._loss: Tensor | None = None
        self._share = 0.0

    def learning_rate(self, step: int) -> float:
        """Learning rate at ``step`` of the run."""
        own_steps = self.training.steps - self.start_step
        return learning_rate(step - self.start_step, self._base, own_steps, self.training.schedule)

    def backward(self, loss: Tensor, share: float = 1.0) -> bool:
        """Adds the gradients of a mean ``loss`` over ``share`` of the process's batch; whether the batch is complete.

        With the last share, gradients are averaged over the processes.
        """
        if self._loss is None:
            for parameter in self._list:  # what `zero_grad` does, without its 0.1 ms of looking around
                parameter.grad = None
        self._share += share
        complete = self._share > 1 - 1e-6
        part = loss.detach() * share
        self._loss = part if self._loss is None else self._loss + part
        self.gradients.backward(self.scaler.scaled(loss * share), average=complete)
        return complete

    def step(self, step: int) -> Tensor:
        """One update from the gradients of a complete batch; returns their norm before clipping.

        A non-finite loss or gradient norm leaves the parameters and moments as they are, from then on and for good:
        the fused kernel reads the verdict on the device, so no step waits for the host, and whoever looks at the
        losses later (``titok.training.health``) finds the state of before the accident. Where losses are scaled, both
        are no accident but a step to skip, as the released code does.
        """
        if self._loss is None:
            raise ValueError("there are no gradients to step with; call backward first")
        self.scaler.unscale(self.optimizer)
        norm = clip_grad_norm_(self._list, self.training.max_grad_norm, foreach=True)
        broken = 1.0 - smallest(torch.isfinite(norm + self._loss).float())
        if self._stopped.device != broken.device:  # the module was moved after this player was made
            self._stopped = self._stopped.to(broken.device)
        skipped = torch.maximum(self._stopped, broken)
        if not self.scaler.is_on:
            self._stopped.copy_(skipped)
        self.optimizer.found_inf = skipped  # type: ignore[attr-defined]
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        self.optimizer.step()
        self.scaler.update()
        self._loss, self._share = None, 0.0
        return torch.where(skipped > self._stopped, 0.0, norm)

    def update(self, loss: Tensor, step: int) -> Tensor:
        """Backward pass and AdamW update for a whole batch; returns the gradient norm before clipping."""
        self.backward(loss)
        return self.step(step)

    @property
    def loss_scale(self) -> Tensor | None:
        """What losses are multiplied with before the backward pass, where they are."""
        return self.scaler.scale

    def state_dict(self) -> dict[str, Any]:
        """Parameters by name, the optimizer's moments and the scale of losses."""
        return {
            "parameters": {name: parameter.detach() for name, parameter in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what ``state_dict`` gave, for the same module; keeps none of its tensors, which may be pages of a
        file."""
        for name, parameter in self.parameters.items():
            parameter.copy_(state["parameters"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        for moments in self.optimizer.state.values():
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.device.type == "cpu":  # on a GPU it is a copy already
                    moments[name] = value.clone()
        self.scaler.load_state_dict(state["scaler"])
