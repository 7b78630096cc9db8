"""Llama in float64 with transformers: the losses and gradients that everything else is held against."""

import torch
from transformers.models.llama import modeling_llama

PROJECTIONS = (
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)


def rms_norm(self, x):
    """transformers computes this in float32 whatever it is given; the reference wants float64."""
    variance = x.pow(2).mean(-1, keepdim=True)
    return self.weight * (x * torch.rsqrt(variance + self.variance_epsilon))


def rotary(self, x, position_ids):
    """Likewise: cosines and sines of the rotary embedding in float64, Hugging Face's half-split order."""
    theta = self.config.rope_parameters["rope_theta"]
    head_dim = getattr(self.config, "head_dim", None)
    head_dim = head_dim or self.config.hidden_size // self.config.num_attention_heads
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    angles = position_ids[:, :, None].double() * theta ** -exponent
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


modeling_llama.LlamaRMSNorm.forward = rms_norm
modeling_llama.LlamaRotaryEmbedding.forward = rotary


def watched_parameters(model):
    """The weights of every linear layer inside the blocks, by their Hugging Face names, in model order."""
    named = dict(model.named_parameters())
    return {
        f"model.layers.{layer}.{projection}.weight": named[f"model.layers.{layer}.{projection}.weight"]
        for layer in range(model.config.num_hidden_layers)
        for projection in PROJECTIONS
    }


def mean_loss(model, ids, scored):
    """The mean negative log-likelihood of the scored tokens of one sequence."""
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].double()
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    mask = torch.tensor(scored[1:], dtype=torch.float64)
    return (losses * mask).sum() / mask.sum()


def per_sample_gradients(model, ids, scored):
    """The loss of one sequence, and its gradient for every watched weight."""
    watched = watched_parameters(model)
    loss = mean_loss(model, ids, scored)
    return loss.item(), dict(zip(watched, torch.autograd.grad(loss, list(watched.values()))))


def inner(a, b):
    """The inner product of two gradients over all layers."""
    return sum((a[name] * b[name]).sum().item() for name in a)


def layer_cosine(a, b):
    """The sum over layers of the cosine; a layer where `b` is zero adds nothing."""
    return sum(
        ((a[name] * b[name]).sum() / (a[name].norm() * b[name].norm())).item()
        for name in a if b[name].norm() > 1e-12
    )
