"""Well-known architectures, small and with random weights, and examples for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers
from torch import Tensor, nn

N, VOCABULARY, LENGTH = 60, 50, 8

_SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
_IMAGES: dict[str, Any] = {"num_channels": 1, "num_labels": 3}
_CLASSES: Any = {"num_labels": 3}
_TEXT: dict[str, Any] = {"vocab_size": VOCABULARY, "max_position_embeddings": 16}


@dataclass(frozen=True)
class Architecture:
    """A model and what is known of its layers.

    Attributes:
        build: Makes the model.
        layers: How many layers with weights it has.
        names: The last parts of their names, each once.
        follows: The layers that cannot be measured, and the neighbour of each.
        tied: The layers whose weights are those of one before them.
    """

    build: Callable[[], nn.Module]
    layers: int
    names: str
    follows: dict[str, str] = field(default_factory=dict)
    tied: tuple[str, ...] = ()


class Scores(nn.Module):
    """(n, classes) scores of a model of images or of token ids; of a language model those of the next token."""

    def __init__(self, model: nn.Module, **keywords: Any) -> None:
        super().__init__()
        self.model, self.keywords = model, keywords

    def forward(self, x: Tensor) -> Tensor:
        scores = self.model(**{self.model.main_input_name: x, **self.keywords}).logits
        return scores if scores.ndim == 2 else scores[:, -1]


class Translation(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(input_ids=ids, decoder_input_ids=ids[:, :3]).logits[:, -1]


class Recurrent(nn.Module):
    """Time comes first, as is torch's default."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm = nn.Embedding(VOCABULARY, 8), nn.LSTM(8, 16, num_layers=2, bidirectional=True)
        self.head = nn.Linear(32, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.lstm(self.words(ids.T))[0].mean(0))


def _bert() -> nn.Module:
    config = transformers.BertConfig(**_SMALL, **_TEXT, **_CLASSES)
    return Scores(transformers.BertForSequenceClassification(config))


def _gpt2() -> nn.Module:
    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_positions=16, n_embd=16, n_layer=2, n_head=2)
    return Scores(transformers.GPT2LMHeadModel(config), use_cache=False)


def _t5() -> nn.Module:
    config = transformers.T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2
    )
    return Translation(transformers.T5ForConditionalGeneration(config))


def _swin() -> nn.Module:
    config = transformers.SwinConfig(
        **_IMAGES, image_size=16, patch_size=2, embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=4
    )
    return Scores(transformers.SwinForImageClassification(config))


def _vit() -> nn.Module:
    config = transformers.ViTConfig(**_SMALL, **_IMAGES, image_size=16, patch_size=4)
    return Scores(transformers.ViTForImageClassification(config))


def _llama() -> nn.Module:
    config = transformers.LlamaConfig(**_SMALL, **_TEXT, num_key_value_heads=1)
    return Scores(transformers.LlamaForCausalLM(config), use_cache=False)


def _resnet() -> nn.Module:
    config = transformers.ResNetConfig(
        **_IMAGES, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic"
    )
    return Scores(transformers.ResNetForImageClassification(config))


def _mixtral() -> nn.Module:
    config = transformers.MixtralConfig(
        **_SMALL, **_TEXT, num_key_value_heads=1, num_local_experts=4, num_experts_per_tok=2
    )
    return Scores(transformers.MixtralForCausalLM(config), use_cache=False)


ARCHITECTURES = {
    "BERT": Architecture(
        _bert,
        17,
        "word_embeddings position_embeddings token_type_embeddings query key value dense classifier",
        {
            "model.bert.embeddings.position_embeddings": "model.bert.embeddings.word_embeddings",
            # All examples have the same type of token.
            "model.bert.embeddings.token_type_embeddings": "model.bert.embeddings.word_embeddings",
        },
    ),
    "GPT-2": Architecture(
        _gpt2,
        11,
        "wte wpe c_attn c_proj c_fc lm_head",
        {"model.transformer.wpe": "model.transformer.wte"},
        ("model.lm_head",),
    ),
    "T5": Architecture(
        _t5,
        38,
        "shared embed_tokens q k v o relative_attention_bias wi wo lm_head",
        {
            # Only its weights are used, in the embeddings of encoder and decoder.
            "model.shared": "model.encoder.embed_tokens",
            **{
                f"model.{part}.block.0.layer.0.SelfAttention.relative_attention_bias": (
                    f"model.{part}.block.0.layer.0.SelfAttention.o"
                )
                for part in ("encoder", "decoder")
            },
        },
        ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "model.lm_head"),
    ),
    "Swin": Architecture(
        _swin,
        24,
        "projection q_proj k_proj v_proj o_proj relative_position_bias fc1 fc2 reduction classifier",
        {
            f"model.swin.encoder.layers.{block}.attention.relative_position_bias": (
                f"model.swin.encoder.layers.{block}.attention.o_proj"
            )
            for block in ("0.blocks.0", "0.blocks.1", "1.blocks.0")
        },
    ),
    # The patches' embedding has the class token and the positions as weights of its own.
    "ViT": Architecture(_vit, 14, "embeddings q_proj k_proj v_proj o_proj fc1 fc2 classifier"),
    "Llama": Architecture(
        _llama, 16, "embed_tokens q_proj k_proj v_proj o_proj gate_proj up_proj down_proj lm_head"
    ),
    "Mixtral": Architecture(_mixtral, 14, "embed_tokens q_proj k_proj v_proj o_proj gate experts lm_head"),
    "ResNet": Architecture(_resnet, 7, "convolution 1"),
    "LSTM": Architecture(Recurrent, 3, "words lstm head"),
}


def examples(name: str) -> tuple[Tensor, Tensor]:
    """Inputs and labels of N examples."""
    generator, labels = torch.Generator().manual_seed(0), torch.arange(N) % 3
    if name in ("Swin", "ViT", "ResNet"):
        return torch.randn(N, 1, 16, 16, generator=generator) + labels[:, None, None, None], labels
    ids = torch.randint(4, VOCABULARY, (N, LENGTH), generator=generator)
    ids[:, 0] = ids[:, -1] = labels + 1
    return ids, labels
