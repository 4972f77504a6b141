#!/usr/bin/env python3
"""Rotary frequencies by transformers, for every way of scaling, with the numbers of real models.

    python3 make_rope.py rope.json

Writes for each name the members of a config.json in transformers 4's spelling, the frequencies of the rotated pairs
(float32), and what sines and cosines are multiplied by. Ways that choose by length are given at a length within the
original context, and one of them beyond it.
"""
import json, os, sys
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import torch
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

torch.set_num_threads(1)
BASE = dict(vocab_size=64, intermediate_size=64, num_hidden_layers=1)
SMALL = dict(hidden_size=2048, num_attention_heads=32, num_key_value_heads=8)
LONG = dict(max_position_embeddings=131072, original_max_position_embeddings=4096)
LLAMA3 = dict(rope_type="llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
CASES = {
    "llama3.2-1b": ("llama", dict(SMALL, rope_theta=500000.0, max_position_embeddings=131072,
                                  rope_scaling=dict(LLAMA3, factor=32.0)), None),
    "llama3.1-8b": ("llama", dict(hidden_size=4096, num_attention_heads=32, rope_theta=500000.0,
                                  max_position_embeddings=131072, rope_scaling=dict(LLAMA3, factor=8.0)), None),
    "linear": ("llama", dict(SMALL, max_position_embeddings=2048, rope_scaling=dict(type="linear", factor=4.0)), None),
    "dynamic@2048": ("llama", dict(SMALL, max_position_embeddings=2048,
                                   rope_scaling=dict(type="dynamic", factor=4.0)), 2048),
    "qwen2.5-yarn": ("qwen2", dict(hidden_size=3584, num_attention_heads=28, rope_theta=1e6,
                                   max_position_embeddings=131072,
                                   rope_scaling=dict(type="yarn", factor=4.0,
                                                     original_max_position_embeddings=32768)), None),
    "yarn-mscale": ("llama", dict(SMALL, rope_theta=1e4, max_position_embeddings=163840,
                                  rope_scaling=dict(rope_type="yarn", factor=40.0, beta_fast=32, beta_slow=1,
                                                    original_max_position_embeddings=4096, mscale=1.0,
                                                    mscale_all_dim=0.707)), None),
    "phi-longrope-short": ("phi3", dict(LONG, hidden_size=3072, num_attention_heads=32, num_key_value_heads=32,
                                        rope_scaling=dict(type="longrope",
                                                          short_factor=[1.0 + 0.02 * i for i in range(48)],
                                                          long_factor=[1.0 + 1.3 * i for i in range(48)])), 4096),
    "phi4-mini-partial": ("phi3", dict(LONG, hidden_size=3072, num_attention_heads=24, num_key_value_heads=8,
                                       partial_rotary_factor=0.75,
                                       rope_scaling=dict(type="longrope", short_factor=[1.0] * 48,
                                                         long_factor=[1.0 + 0.9 * i for i in range(48)])), 4096),
    "phi4-mini-long": ("phi3", dict(LONG, hidden_size=3072, num_attention_heads=24, num_key_value_heads=8,
                                    partial_rotary_factor=0.75,
                                    rope_scaling=dict(type="longrope", short_factor=[1.0] * 48,
                                                      long_factor=[1.0 + 0.9 * i for i in range(48)])), 4097),
}
out = {}
for name, (kind, members, length) in CASES.items():
    config = AutoConfig.for_model(kind, **json.loads(json.dumps(members)))
    frequencies, factor = ROPE_INIT_FUNCTIONS[config.rope_parameters["rope_type"]](config, seq_len=length)
    out[name] = dict(config=dict(model_type=kind, **BASE, **members), attention_factor=float(factor),
                     inv_freq=[float(value) for value in frequencies])
json.dump(out, open(sys.argv[1], "w"), separators=(",", ":"))
