#!/usr/bin/env python3
"""Reference files of gguf-py (0.19.0) and ggml (0.25.3, an x86-64 build), for GGUFTests.

    python3 make_gguf.py LIBGGML-BASE.SO FOLDER

Writes FOLDER/
  codecs.gguf   for each type T: `values.T` (F32), `T` (the same as ggml stores it), `T.decoded` (F32, as ggml reads that),
                `T.noise` (random bytes as T) and `T.noise.decoded`
  layout.gguf   every kind of value and array, an alignment of 64, tensors of 1 to 4 dimensions; LayoutTests writes the same
  version2.gguf one key and one tensor, version 2

ggml's results are compared with gguf-py's own, which are the same but for NaN.
"""
import ctypes, os, struct, sys
import numpy as np, gguf
from gguf import GGMLQuantizationType as T, GGUFValueType as V, GGUFWriter

ggml = ctypes.CDLL(sys.argv[1])
folder = sys.argv[2]
random = np.random.default_rng(20240726)
pointer = lambda array: array.ctypes.data_as(ctypes.c_void_p)
QUANTIZED = [T.Q4_0, T.Q4_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]


def size(type, count):
    block, bytes = gguf.GGML_QUANT_SIZES[type]
    return count // block * bytes


def encode(type, values):
    stored = np.zeros(size(type, values.size), np.uint8)
    if type in QUANTIZED:
        getattr(ggml, f"quantize_row_{type.name[:2].lower()}{type.name[2:]}_ref")(
            pointer(values), pointer(stored), ctypes.c_int64(values.size))
    else:
        getattr(ggml, f"ggml_fp32_to_{'fp16' if type == T.F16 else 'bf16'}_row")(
            pointer(values), pointer(stored), ctypes.c_int64(values.size))
    return stored


def decode(type, stored, count):
    values = np.zeros(count, np.float32)
    name = (f"dequantize_row_{type.name[:2].lower()}{type.name[2:]}" if type in QUANTIZED
            else f"ggml_{'fp16' if type == T.F16 else 'bf16'}_to_fp32_row")
    getattr(ggml, name)(pointer(stored), pointer(values), ctypes.c_int64(count))
    with np.errstate(all="ignore"):
        ours = gguf.quants.dequantize(stored, type).astype(np.float32).ravel()
    same = (values.view(np.uint32) == ours.view(np.uint32)) | (np.isnan(values) & np.isnan(ours))
    assert same.all(), (type, np.flatnonzero(~same)[:8])
    return values


def ordinary(rows):
    """Rows of 256: of different scales, one of zeros, one of one value, ramps with ties."""
    values = (random.standard_normal((rows, 256)) * 2.0 ** random.integers(-12, 6, (rows, 1))).astype(np.float32)
    values[0] = 0
    values[1] = -0.375
    values[2] = np.tile((np.arange(64) - 31.5) / 2, 4)
    return values.ravel()


def special(count):
    """Blocks of 32 with what is hard: NaN, infinities, the largest and smallest, halves to be rounded, -0."""
    f = np.float32
    tiny, huge = f(1e-45), np.finfo(f).max
    blocks = np.tile(random.standard_normal(32).astype(f), (count, 1))
    blocks[0] = -0.0
    blocks[1, 5] = np.nan
    blocks[2, 31] = np.nan
    blocks[3, 7] = np.inf
    blocks[4, 8], blocks[4, 20] = -np.inf, np.inf
    blocks[5] = np.arange(32) * tiny
    blocks[6] *= f(1e-39)
    blocks[7] *= f(1e-41)
    blocks[8] = np.where(np.arange(32) % 2, huge, -huge)
    blocks[9] = f(65504) * 127
    blocks[10] = (np.arange(32) - 16) * f(0.5); blocks[10, 0] = 127; blocks[10, 1] = -127
    blocks[11] = (np.arange(32) - 15.5) / 2; blocks[11, 3] = 8; blocks[11, 4] = -8
    blocks[12] = (np.arange(32) - 15.5) / 2; blocks[12, 3] = -8; blocks[12, 4] = 8
    blocks[13] = f(0.49999997); blocks[13, 9] = 127
    blocks[14, 3], blocks[14, 4], blocks[14, 5] = 1000, np.nan, 0.001
    blocks[15] = np.nan
    blocks[16] = -np.abs(blocks[16]); blocks[16, 2] = -np.nan
    blocks[17] = f(2.0) ** -126; blocks[17, 1] = f(3e-39) * 127
    return blocks.ravel()


def codecs(path):
    writer = GGUFWriter(path, "reference")
    for type in [T.F16, T.BF16] + QUANTIZED:
        values = ordinary(3 if type in (T.F16, T.BF16) else 5)
        if type in (T.F16, T.BF16):
            bits = random.integers(0, 1 << 32, 496, dtype=np.uint64).astype(np.uint32)
            halves = np.array([0x477fefff, 0x477ff000, 0x477fffff, 0x33000000, 0x33000001, 0x387fffff, 0x38800000, 0x38801000,
                               0x38803000, 0x00000001, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0xffc12345,
                               0x7fffffff], np.uint32)
            values = np.concatenate([values[256:], np.concatenate([bits, halves]).view(np.float32)])
        elif type in (T.Q4_0, T.Q8_0):
            values = np.concatenate([values, special(24)])
        assert values.size % 256 == 0
        add = lambda name, array, kind=None: writer.add_tensor(name, array, raw_dtype=kind)
        stored = encode(type, values)
        add(f"values.{type.name}", values)
        add(type.name, stored, type)
        add(f"{type.name}.decoded", decode(type, stored, values.size))
        noise = random.integers(0, 256, size(type, 768), dtype=np.uint8)
        add(f"{type.name}.noise", noise, type)
        add(f"{type.name}.noise.decoded", decode(type, noise, 768))
    finish(writer)


def layout(path):
    writer = GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    writer.add_uint8("k.u8", 200); writer.add_int8("k.i8", -100); writer.add_uint16("k.u16", 60000)
    writer.add_int16("k.i16", -30000); writer.add_uint32("k.u32", 4000000000); writer.add_int32("k.i32", -2000000000)
    writer.add_uint64("k.u64", 2**64 - 1); writer.add_int64("k.i64", -2**63); writer.add_float32("k.f32", 1e-5)
    writer.add_float64("k.f64", 1e-300); writer.add_bool("k.yes", True); writer.add_bool("k.no", False)
    writer.add_string("k.text", "grüße\n日本 🍐\0")
    array = lambda key, values, kind: writer.add_key_value(key, values, V.ARRAY, sub_type=kind)
    array("a.u8", [0, 255], V.UINT8); array("a.i8", [-128, 127], V.INT8); array("a.u16", [65535], V.UINT16)
    array("a.i16", [-1, 2, -3], V.INT16); array("a.u32", [1, 2**32 - 1], V.UINT32); array("a.i32", [-1, 1], V.INT32)
    array("a.u64", [2**63], V.UINT64); array("a.i64", [-5, 5], V.INT64); array("a.f32", [0.5, -0.1], V.FLOAT32)
    array("a.f64", [0.1], V.FLOAT64); array("a.bool", [True, False, True], V.BOOL)
    array("a.text", ["<s>", "é", "Ġa"], V.STRING)
    ramp = lambda *shape: ((np.arange(np.prod(shape)) - 11) / 8).astype(np.float32).reshape(shape)
    writer.add_tensor("one", ramp(5))
    writer.add_tensor("two.weight", ramp(3, 4).astype(np.float16))
    for name, type, shape in [("q8", T.Q8_0, (2, 32)), ("q4", T.Q4_0, (2, 2, 64)), ("bf", T.BF16, (2, 1, 3, 2))]:
        values = ramp(*shape)
        stored = encode(type, values.ravel())
        row = size(type, shape[-1])
        writer.add_tensor(name, stored.reshape(*shape[:-1], row), raw_dtype=type)
    finish(writer)


def finish(writer):
    writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()


def version2(path):
    text = lambda value: struct.pack("<Q", len(value)) + value.encode()
    header = b"GGUF" + struct.pack("<IQQ", 2, 1, 1)
    header += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    header += text("w") + struct.pack("<IQQIQ", 2, 3, 2, 0, 0)
    header += bytes(-len(header) % 32)
    open(path, "wb").write(header + np.arange(6, dtype=np.float32).tobytes() + bytes(8))
    tensor, = gguf.GGUFReader(path).tensors
    assert (tensor.data == np.arange(6).reshape(2, 3)).all()


codecs(os.path.join(folder, "codecs.gguf"))
layout(os.path.join(folder, "layout.gguf"))
version2(os.path.join(folder, "version2.gguf"))
