# An adapter folder over its base, a folder or a GGUF file, or a whole model's folder.
def in_float32(module):
    """bitsandbytes decodes its 4 bits exactly, but on some CPUs multiplies in bfloat16, whatever it is told."""
    import bitsandbytes
    import torch

    def forward(x):
        weight = bitsandbytes.functional.dequantize_4bit(module.weight.data, module.weight.quant_state)
        return torch.nn.functional.linear(x.float(), weight.float(), module.bias)

    return forward


def load(request):
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(request["threads"])
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    adapter = request["adapter"]
    source, options = request["model"], {}
    if os.path.isfile(source):
        source, options["gguf_file"] = os.path.split(os.path.abspath(source))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source, attn_implementation="eager", use_safetensors=True, **options,
        **{"dtype" if version >= (4, 56) else "torch_dtype": torch.float32})
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.forward = in_float32(module)
    tool = f"transformers {transformers.__version__}"
    if adapter is not None:
        import peft

        model = peft.PeftModel.from_pretrained(model, adapter)
        tool += f" with PEFT {peft.__version__}"
    model.eval()

    def logits(ids):
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().numpy()

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(source if options else adapter or source, **options)
    except Exception as error:
        print(f"no tokenizer: {error}", file=sys.stderr)
        tokenizer = None
    return tool, [("", logits)], tokenizer and (lambda text: tokenizer(text)["input_ids"]), None


verify(load)
