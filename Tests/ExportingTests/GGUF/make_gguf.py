#!/usr/bin/env python3
"""What llama.cpp's own converters make of the reference cases, as gguf.json.

    python3 make_gguf.py LLAMA_CPP ../../Fixtures gguf.json

LLAMA_CPP is a source tree of llama.cpp (with convert_hf_to_gguf.py); torch, transformers and safetensors are needed. Of each
file: its metadata, long lists as their length and the SHA-256 of their lines, and of each tensor type, shape (as torch has
it) and the SHA-256 of its bytes. The converter knows pre-tokenizers by a hash of what real tokenizers give, and has no class
for some tokenizers of these small cases: it is told the pre-tokenizer, and takes all of them for byte-level BPE.
"""
import hashlib, importlib.machinery, json, os, subprocess, sys, tempfile, types
os.environ.setdefault("CUDA_VISIBLE_DEVICES", ""); os.environ.setdefault("HF_HUB_OFFLINE", "1")
from pathlib import Path
import transformers
from transformers import AutoConfig, AutoTokenizer  # before what stands in for sentencepiece

source, fixtures, out = sys.argv[1:]
sys.path[:0] = [source, source + "/gguf-py"]
module = types.ModuleType("sentencepiece")
module.__spec__ = importlib.machinery.ModuleSpec("sentencepiece", None)
module.SentencePieceProcessor = None
sys.modules["sentencepiece"] = module
import gguf
from conversion import get_model_class
from conversion.base import ModelBase, ModelType, TextModel, get_model_architecture

TYPES = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"

CASES = [
    ("gpt2-tiny", "f32", {}), ("llama3-tiny", "f32", {}), ("llama3-tiny", "f16", {}), ("llama3-bf16-tiny", "bf16", {}),
    ("llama3-tiny", "q8_0", {}), ("mistral-tiny", "f32", {}), ("qwen2-tiny", "f32", {}), ("qwen3-tiny", "f32", {}),
    ("olmo2-tiny", "f32", {}), ("granite-tiny", "f32", {}), ("phi3-tiny", "f32", {}),
    ("phi3-tiny", "f32", dict(
        sliding_window=None, max_position_embeddings=512, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75, original_max_position_embeddings=256,
            short_factor=[1 + i / 8 for i in range(6)], long_factor=[1.0 + i for i in range(6)]))),
    ("smollm3-tiny", "f32", dict(no_rope_layer_interval=4, no_rope_layers=[1, 1, 1])),
    ("gemma2-tiny", "f32", dict(query_pre_attn_scalar=24)), ("gemma3-tiny", "f32", dict(query_pre_attn_scalar=16)),
    ("qwen2-tiny", "f32", dict(rope_scaling=dict(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=64))),
    ("qwen3-tiny", "f32", dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0))),
]
# Not GPT-2: the converter transposes A and B of its linears, which llama.cpp then refuses for their shapes.
ADAPTERS = ["llama3-tiny", "phi3-tiny", "olmo2-tiny"]


def digest(data):
    return hashlib.sha256(data).hexdigest()[:12]


def described(path):
    reader = gguf.GGUFReader(path)
    metadata = {}
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.name", "general.size_label"):
            continue
        value = field.contents()
        if isinstance(value, list) and len(value) > 8:
            value = dict(count=len(value), digest=digest("\n".join(map(str, value)).encode()))
        metadata[key] = value
    tensors = {}
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        entry = [tensor.tensor_type.name, shape, digest(tensor.data.tobytes())]
        if tensor.name.startswith("rope_"):
            entry.append([float(value) for value in tensor.data])
        tensors[tensor.name] = entry
    return dict(metadata=metadata, tensors=tensors)


def model(case, dtype, edits):
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir(f"{fixtures}/{case}/model"):
            if name != "config.json":
                os.symlink(os.path.abspath(f"{fixtures}/{case}/model/{name}"), f"{folder}/{name}")
        config = json.load(open(f"{fixtures}/{case}/model/config.json")) | edits
        json.dump(config, open(f"{folder}/config.json", "w"))
        hparams = ModelBase.load_hparams(Path(folder), False)
        hparams.setdefault("n_ctx", hparams.get("n_positions"))
        kind = get_model_class(get_model_architecture(hparams, ModelType.TEXT))
        kind = type(kind.__name__, (kind,), dict(model_arch=kind.model_arch, set_vocab=TextModel._set_vocab_gpt2))
        path = Path(folder) / "out.gguf"
        kind(Path(folder), gguf.LlamaFileType[TYPES[dtype]], path, hparams=hparams).write()
        return dict(case=case, dtype=dtype, edits=edits) | described(str(path))


def adapter(case):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/out.gguf"
        subprocess.run(
            [sys.executable, f"{source}/convert_lora_to_gguf.py", "--base", f"{fixtures}/{case}/model", "--outfile", path,
             "--outtype", "f32", f"{fixtures}/{case}/adapter"], check=True, stderr=subprocess.DEVNULL)
        return dict(case=case) | described(path)


result = dict(models=[model(*case) for case in CASES], adapters=[adapter(case) for case in ADAPTERS])
with open(out, "w") as file:
    file.write('{\n')
    for key, cases in result.items():
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        file.write(f'"{key}": [\n{lines}\n]' + (",\n" if key == "models" else "\n"))
    file.write('}\n')
