# Two graphs of a model: the one for whole texts, and the one with a cache, at once and token by token.
def load(request):
    import numpy
    import onnxruntime

    def open_graph(name):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = request["threads"]
        return onnxruntime.InferenceSession(
            os.path.join(request["model"], name), options, providers=["CPUExecutionProvider"])

    plain, cached = open_graph("model_no_cache.onnx"), open_graph("model.onnx")
    pasts = [(node.name, node.shape) for node in cached.get_inputs() if node.name.startswith("past_key_values.")]

    def whole(ids):
        ids = numpy.array([ids], dtype=numpy.int64)
        return plain.run(["logits"], {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})[0][0]

    def with_cache(ids, cuts):
        names = ["logits"] + [name.replace("past_key_values", "present") for name, _ in pasts]
        cache = {name: numpy.zeros((1, shape[1], 0, shape[3]), numpy.float32) for name, shape in pasts}
        rows = []
        for start, end in zip(cuts, cuts[1:]):
            logits, *present = cached.run(names, {
                "input_ids": numpy.array([ids[start:end]], dtype=numpy.int64),
                "attention_mask": numpy.ones((1, end), numpy.int64),
                "position_ids": numpy.arange(start, end, dtype=numpy.int64)[None], **cache})
            cache = {name: value for (name, _), value in zip(pasts, present)}
            rows.append(logits[0])
        return numpy.concatenate(rows)

    checks = [
        ("model_no_cache.onnx", whole),
        ("model.onnx, at once", lambda ids: with_cache(ids, [0, len(ids)])),
        ("model.onnx, token by token", lambda ids: with_cache(ids, list(range(len(ids) + 1)))),
    ]
    tokenize = None
    path = os.path.join(request["model"], "tokenizer.json")
    if importlib.util.find_spec("tokenizers") is not None and os.path.exists(path):
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(path)
        tokenize = lambda text: tokenizer.encode(text).ids
    return f"ONNX Runtime {onnxruntime.__version__}", checks, tokenize, None


verify(load)
