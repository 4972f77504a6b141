# A whole model's GGUF file, or a LoRA file beside its base's.
def load(request):
    import llama_cpp
    import numpy

    # The least context that llama.cpp makes. Keys and values are in float32, as sft has them, and not in half precision, which
    # is llama.cpp's default.
    context = 256
    model = llama_cpp.Llama(
        model_path=request["model"], lora_path=request["adapter"], n_ctx=context, n_batch=context, n_ubatch=context, n_gpu_layers=0,
        n_threads=request["threads"], n_threads_batch=request["threads"], logits_all=True, flash_attn=False,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, verbose=False)

    def logits(ids):
        model.reset()
        model.eval(ids)
        return numpy.array(model.scores[: len(ids)])

    def tokenize(text):
        return model.tokenize(text.encode(), add_bos=True, special=False)

    # Beyond the context that its file states it may compute otherwise.
    limit = llama_cpp.llama_model_n_ctx_train(model.model)
    tool = f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"
    return tool, [("", logits)], tokenize, limit


verify(load)
