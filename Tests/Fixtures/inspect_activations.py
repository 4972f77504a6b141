#!/usr/bin/env python3
"""What every part of a model gives for one text, by transformers: the other side of `sft inspect activations`.

    sft inspect activations --model MODEL --text T --json >ours.json
    python3 inspect_activations.py MODEL --like ours.json            # which parts differ, the first of them first
    python3 inspect_activations.py MODEL --text T [--json]           # the same lines, or the same JSON, as sft prints

    MODEL: a folder; --adapter DIR a PEFT adapter for it; --every-position a line for each token, as sft's

The parts have the names and the order of sft's. The first that differs is where a norm, a rotation, a window or a scale is
wrong: what follows it only inherits the error. Everything is float32 on the CPU, attention eager. Families that transformers
has no class of (EXAONE 3) are left out, and so are bases in 4 bits. Tests/Fixtures/*/activations.json are written by

    python3 inspect_activations.py CASE/model --text "Name three fruits." --json >CASE/activations.json
"""
import argparse, json, os, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1"); os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ap = argparse.ArgumentParser(); ap.add_argument("model"); ap.add_argument("--text"); ap.add_argument("--adapter")
ap.add_argument("--like"); ap.add_argument("--json", action="store_true"); ap.add_argument("--every-position", action="store_true")
ap.add_argument("--tolerance", type=float, default=1e-4, help="relative to the largest value that is shown of a part")
a = ap.parse_args()
if (a.text is None) == (a.like is None): ap.error("give --text or --like")
torch.set_num_threads(1)
ours = json.load(open(a.like)) if a.like else None
tokens = ours["tokens"] if ours else AutoTokenizer.from_pretrained(a.model)(a.text, split_special_tokens=True)["input_ids"]
model = AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation="eager").eval()
decoder = model.base_model
decoder = getattr(decoder, "language_model", decoder)
if a.adapter:
    from peft import PeftModel
    whole = PeftModel.from_pretrained(model, a.adapter).eval()
else: whole = model

# --- where the parts are
blocks = decoder.h if hasattr(decoder, "h") else decoder.layers
T, parts, current = len(tokens), [], [None]
flat = lambda x: x.detach().float().reshape(T, -1)
heads = lambda x: flat(x[0].transpose(0, 1))                     # [1, H, T, D] → [T, H·D]
def add(layer, part, x): parts.append((layer, part, x))
def gives(module, layer, *names, take=lambda x: [flat(x)]):
    def hook(_, __, out):
        for name, x in zip(names, take(out[0] if isinstance(out, tuple) else out)): add(layer, name, x)
    module.register_forward_hook(hook)
def gets(module, layer, name):
    def hook(_, args, kwargs): add(layer, name, flat(args[0] if args else kwargs["hidden_states"]))
    module.register_forward_pre_hook(hook, with_kwargs=True)
def headNorm(module, layer, name):                               # over [1, T, H, D], its transpose, or [1, T, H·D]
    def hook(_, args, out): add(layer, name, flat(out) if out.dim() == 3 or args[0].is_contiguous() else heads(out))
    module.register_forward_hook(hook)

def norms(block):
    """attention's input and output norm, the MLP's"""
    n = lambda name: getattr(block, name, None)
    if n("ln_1") is not None: return block.ln_1, None, block.ln_2, None
    if n("pre_feedforward_layernorm") is not None:
        return block.input_layernorm, block.post_attention_layernorm, block.pre_feedforward_layernorm, block.post_feedforward_layernorm
    if n("post_feedforward_layernorm") is not None: return None, block.post_attention_layernorm, None, block.post_feedforward_layernorm
    real = lambda m: None if isinstance(m, torch.nn.Identity) else m
    return block.input_layernorm, real(n("post_norm1")), block.post_attention_layernorm, real(n("post_norm2"))

config = model.config.get_text_config()
H = config.num_attention_heads; K = getattr(config, "num_key_value_heads", None) or H
D = getattr(config, "head_dim", None) or config.hidden_size // H
for i, block in enumerate(blocks):
    at = block.attn if hasattr(block, "attn") else block.self_attn
    ain, aout, min_, mout = norms(block); mlp = block.mlp
    block.register_forward_pre_hook(lambda *_, i=i: current.__setitem__(0, i))
    if ain is not None: gives(ain, i, "attention_input_norm")
    if hasattr(at, "q_proj"):
        for m, name in ((at.q_proj, "queries"), (at.k_proj, "keys"), (at.v_proj, "values")): gives(m, i, name)
    else:
        gives(at.c_attn if hasattr(at, "c_attn") else at.qkv_proj, i, "queries", "keys", "values",
              take=lambda x: flat(x).split([H * D, K * D, K * D], dim=1))
    if hasattr(at, "q_norm"): headNorm(at.q_norm, i, "queries_normed"); headNorm(at.k_norm, i, "keys_normed")
    end = at.o_proj if hasattr(at, "o_proj") else at.c_proj
    gets(end, i, "attended"); gives(end, i, "attention_output")
    if aout is not None: gives(aout, i, "attention_output_norm")
    gets(mlp if min_ is None else min_, i, "after_attention")
    if min_ is not None: gives(min_, i, "mlp_input_norm")
    if hasattr(mlp, "gate_proj"): gives(mlp.gate_proj, i, "gate"); gives(mlp.up_proj, i, "up")
    elif hasattr(mlp, "gate_up_proj"): gives(mlp.gate_up_proj, i, "gate", "up", take=lambda x: flat(x).chunk(2, dim=1))
    else: gives(mlp.c_fc, i, "up")
    down = mlp.c_proj if hasattr(mlp, "c_proj") else mlp.down_proj
    gets(down, i, "activated"); gives(down, i, "mlp_output")
    if mout is not None: gives(mout, i, "mlp_output_norm")
    gives(block, i, "after_mlp")
gets(blocks[0], None, "embeddings")
gives(decoder.ln_f if hasattr(decoder, "ln_f") else decoder.norm, None, "final_norm")
module = sys.modules[type(blocks[0]).__module__]
if hasattr(module, "apply_rotary_pos_emb"):
    rotate = module.apply_rotary_pos_emb
    def rotated(*args, **kwargs):
        q, k = rotate(*args, **kwargs)
        add(current[0], "queries_rotated", heads(q)); add(current[0], "keys_rotated", heads(k))
        return q, k
    module.apply_rotary_pos_emb = rotated
with torch.no_grad(): add(None, "logits", flat(whole(input_ids=torch.tensor([tokens]), use_cache=False).logits))

# --- in sft's order, as sft shows them
ORDER = ["attention_input_norm", "queries", "keys", "values", "queries_normed", "keys_normed", "queries_rotated", "keys_rotated",
         "attended", "attention_output", "attention_output_norm", "after_attention", "mlp_input_norm", "gate", "up", "activated",
         "mlp_output", "mlp_output_norm", "after_mlp"]
def place(part):
    layer, name, _ = part
    return (-1 if name == "embeddings" else len(blocks) + (name == "logits") if layer is None else layer, ORDER.index(name) if name in ORDER else 0)
number = lambda x: float(f"{x:.7g}") if x == x and abs(x) != float("inf") else None
def shown(layer, name, x, position=None):
    where = ({} if layer is None else dict(layer=layer)) | dict(part=name) | ({} if position is None else dict(position=position))
    last = x[-1].tolist()
    return where | dict(shape=list(x.shape), norm=number(x.double().norm().item()), mean=number(x.double().mean().item()),
                        first=[number(v) for v in last[:4]], last=[number(v) for v in last[-4:]])
result = []
every = a.every_position or (ours is not None and any("position" in p for p in ours["parts"]))
for layer, name, x in sorted(parts, key=place):
    result += [shown(layer, name, x[p:p + 1], p) for p in range(T)] if every else [shown(layer, name, x)]

def line(p):
    v = lambda x: "nan" if x is None else f"{x:.4g}"
    where = f"{'' if 'layer' not in p else p['layer']:>5}  {p['part']:<21}" + (f"  {p['position']:>8}" if "position" in p else "")
    shape = "×".join(str(n) for n in p["shape"])
    return f"{where}  {shape:>12}  {v(p['norm']):>10}  {v(p['mean']):>10}  {'  '.join(f'{v(x):>10}' for x in p['first'])}  …{'  '.join(f'{v(x):>10}' for x in p['last'])}"
def error(x, y):
    """of the part's values, relative to the largest of them; of its norm and mean, relative to the norm and to norm / √count"""
    count = 1
    for n in x["shape"]: count *= n
    near = lambda u, v, scale: (0 if u == v else float("inf")) if None in (u, v) or scale == 0 else abs(u - v) / scale
    values = [(u, v) for key in ("first", "last") for u, v in zip(x[key], y[key])]
    largest = max((abs(v) for _, v in values if v is not None), default=0)
    norm = y["norm"] or 0
    return max([near(x["norm"], y["norm"], norm), near(x["mean"], y["mean"], norm / count ** 0.5)] + [near(u, v, largest) for u, v in values])

if ours is None:
    if a.json: print('{"tokens":' + json.dumps(tokens) + ',"parts":[\n' + ",\n".join(json.dumps(p, separators=(",", ":")) for p in result) + "\n]}")
    else: print("\n".join(line(p) for p in result))
    sys.exit(0)
key = lambda p: (p.get("layer"), p["part"], p.get("position"))
if a.model and os.path.exists(os.path.join(a.model, "tokenizer.json")) and ours.get("text") is not None:
    theirs = AutoTokenizer.from_pretrained(a.model)(ours["text"], split_special_tokens=True)["input_ids"]
    if theirs != tokens: print("the tokenizer differs:", theirs, "against", tokens)
mine, wrong = {key(p): p for p in ours["parts"]}, 0
for p in result:
    q = mine.pop(key(p), None)
    if q is None: print("only in transformers:", line(p)); wrong += 1
    elif q["shape"] != p["shape"]: print("other shape:", q["shape"], line(p)); wrong += 1
    elif not (e := error(q, p)) <= a.tolerance: print(f"off by {e:.1e}\n  sft           {line(q)}\n  transformers  {line(p)}"); wrong += 1
for p in mine.values(): print("only in sft:", line(p)); wrong += 1
print(f"{wrong} of {len(result)} parts differ" if wrong else f"all {len(result)} parts agree")
sys.exit(1 if wrong else 0)
