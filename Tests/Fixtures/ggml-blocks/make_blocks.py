#!/usr/bin/env python3
"""Makes NAME.bin for each of ggml's block types: some blocks, then their elements in float32, as gguf-py decodes them.

Blocks are random bytes, so that every code, scale and sign occurs; their IEEE halves are finite: of ordinary size, negative,
subnormal, the largest there is, and both zeros.

    make_blocks.py [libggml-base.so]

With a library, checks too that ggml's own dequantize_row_… gives the same bits. Made with gguf 0.19.0; checked against
the library of llama-cpp-python 0.3.36.
"""

import ctypes
import pathlib
import sys

import numpy
from gguf import GGMLQuantizationType, quants

# The places of the halves in a block, and how many blocks.
TYPES = {
    "Q4_0": ([0], 24),
    "Q4_1": ([0, 2], 24),
    "Q8_0": ([0], 24),
    "Q4_K": ([0, 2], 7),
    "Q5_K": ([0, 2], 7),
    "Q6_K": ([208], 7),
}
HALVES = numpy.array([0.0123, -0.0071, 0.5, 6e-8, -3e-5, 65504, 0.0, -0.0], dtype=numpy.float16)


def main() -> None:
    library = ctypes.CDLL(sys.argv[1]) if len(sys.argv) > 1 else None
    folder = pathlib.Path(__file__).parent
    for seed, (name, (places, count)) in enumerate(TYPES.items()):
        kind = GGMLQuantizationType[name]
        length, size = quants.GGML_QUANT_SIZES[kind]
        generator = numpy.random.default_rng(seed)
        blocks = generator.integers(0, 256, (count, size), dtype=numpy.uint8)
        for index in range(count):
            for number, place in enumerate(places):
                half = HALVES[(index + 3 * number) % len(HALVES)]
                blocks[index, place : place + 2] = numpy.frombuffer(half.tobytes(), numpy.uint8)
        floats = quants.dequantize(blocks.reshape(-1), kind).astype("<f4")
        assert floats.size == count * length and numpy.isfinite(floats).all()
        if library is not None:
            decoded = numpy.empty(floats.size, numpy.float32)
            decode = library[f"dequantize_row_{name[0].lower()}{name[1:]}"]
            decode(blocks.ctypes.data_as(ctypes.c_void_p), decoded.ctypes.data_as(ctypes.c_void_p),
                   ctypes.c_int64(floats.size))
            assert decoded.tobytes() == floats.tobytes(), name
            print(name, "is the same in ggml")
        (folder / f"{name}.bin").write_bytes(blocks.tobytes() + floats.tobytes())


if __name__ == "__main__":
    main()
