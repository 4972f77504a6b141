#!/usr/bin/env python3
"""Compares exported ONNX graphs with transformers: pip install torch transformers onnx onnxruntime

    python3 check_onnx.py MODEL ONNX [MODEL ONNX ...]

MODEL is a folder that transformers loads, ONNX what `sft export --format onnx` made of it. Both graphs pass ONNX's checker, with
shape inference; then logits are compared of sequences alone, in a batch padded on the right and on the left, and, with a cache, at
once and in steps. Each sequence's reference is transformers' on that sequence alone. Where a model computes long sequences
otherwise (LongRoPE), the graph with a cache fails at the limit, and the whole sequence is given again.

Prints the largest absolute difference of each; exit code 1 where one is above 1e-4.
"""
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import onnx
import onnxruntime
import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
LENGTHS = [53, 10, 31, 16, 17]


def references(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    longest = min(getattr(model.config, "max_position_embeddings", 1024), 64)
    generator = torch.Generator().manual_seed(5)
    run = lambda ids: model(input_ids=ids[None], use_cache=False).logits[0].numpy()
    with torch.no_grad():
        sequences = [
            torch.randint(0, model.config.vocab_size, (min(n, longest),), generator=generator) for n in LENGTHS]
        whole = [run(ids) for ids in sequences]
        prefixes = [run(sequences[0][:n])[-1] for n in range(1, len(sequences[0]) + 1)]
    return [ids.numpy() for ids in sequences], whole, prefixes


def open_graph(path):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options)


def batch(sequences, side):
    width = max(map(len, sequences))
    places = [slice(0, len(s)) if side == "right" else slice(width - len(s), width) for s in sequences]
    ids, mask = np.zeros((2, len(sequences), width), np.int64)
    for row, (place, tokens) in enumerate(zip(places, sequences)):
        ids[row, place], mask[row, place] = tokens, 1
    return ids, mask, places


class Cached:
    """The graph with a cache, and what it has taken so far."""

    def __init__(self, session):
        self.session = session
        self.names = [i.name for i in session.get_inputs() if i.name.startswith("past_key_values.")]
        self.shapes = {i.name: i.shape for i in session.get_inputs()}
        self.restarts = 0

    def start(self, rows):
        self.cache = {n: np.zeros((rows, self.shapes[n][1], 0, self.shapes[n][3]), np.float32) for n in self.names}
        self.taken = 0

    def run(self, ids, mask):
        """Logits of what was not taken yet of ids."""
        new = slice(self.taken, ids.shape[1])
        positions = np.maximum(np.cumsum(mask, 1) - 1, 0)[:, new]
        feed = {"input_ids": ids[:, new], "attention_mask": mask, "position_ids": positions, **self.cache}
        try:
            logits, *present = self.session.run(None, feed)
        except Exception as error:
            if "start_over_with_an_empty_cache" not in str(error) or self.taken == 0:
                raise
            self.restarts += 1
            self.start(len(ids))
            return self.run(ids, mask)
        self.cache, self.taken = dict(zip(self.names, present)), ids.shape[1]
        return logits


def differences(model, exported):
    sequences, whole, prefixes = references(model)
    plain = open_graph(exported + "/model_no_cache.onnx")
    cached = Cached(open_graph(exported + "/model.onnx"))
    run = lambda ids, mask: plain.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    found = {"alone": max(
        np.abs(run(ids[None], np.ones_like(ids[None]))[0] - expected).max() for ids, expected in zip(sequences, whole))}
    for side in ["right", "left"]:
        ids, mask, places = batch(sequences, side)
        cached.start(len(ids))
        for name, logits in [(side, run(ids, mask)), (side + ", cache", cached.run(ids, mask))]:
            assert np.isfinite(logits).all()
            found[name] = max(np.abs(logits[row, place] - whole[row]).max() for row, place in enumerate(places))
    ids, mask, _ = batch(sequences, "left")
    cached.start(len(ids))
    found["steps"] = 0
    for end in [11, 12, 13, 20, *range(21, ids.shape[1] + 1)]:
        if end > ids.shape[1]:
            break
        logits = cached.run(ids[:, :end], mask[:, :end])
        # The first sequence fills its row.
        found["steps"] = max(found["steps"], np.abs(logits[0, -1] - prefixes[end - 1]).max())
    found["steps"] = max(found["steps"], *(np.abs(logits[i, -1] - rows[-1]).max() for i, rows in enumerate(whole)))
    return found, cached.restarts


worst = 0
for model, exported in zip(sys.argv[1::2], sys.argv[2::2]):
    found, restarts = differences(model, exported)
    worst = max(worst, *found.values())
    print(model, ", ".join(f"{name} {value:.1e}" for name, value in found.items()), f"restarts {restarts}", flush=True)
sys.exit(1 if worst > 1e-4 else 0)
