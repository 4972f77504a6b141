"""Tokens a second of llama.cpp, greedy, with two threads; or its Q4_0 of an F16 file.

Usage: decode_llama_cpp.py decode FILE TOKENS | quantize FROM TO
"""
import ctypes, os, sys, time
import llama_cpp

PROMPT = b"Once upon a time"


def decode(path, tokens):
    threads = len(os.sched_getaffinity(0))
    model = llama_cpp.Llama(path, n_ctx=2048, n_threads=threads, n_threads_batch=threads, verbose=False)
    prompt = model.tokenize(PROMPT, add_bos=False)
    best = 0
    for _ in range(2):
        model.reset()
        model.eval(prompt)
        start = time.time()
        for _ in range(tokens):
            model.eval([model.sample(temp=0.0)])
        best = max(best, tokens / (time.time() - start))
    print(best)


def quantize(source, target):
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0
    sys.exit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)))


if sys.argv[1] == "decode":
    decode(sys.argv[2], int(sys.argv[3]))
else:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    quantize(sys.argv[2], sys.argv[3])
