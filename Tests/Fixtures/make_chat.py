#!/usr/bin/env python3
"""Chat fixtures: a small byte-level tokenizer with the marks of some chat templates, and what TRL trains.

    python3 make_chat.py            (transformers 5.24, trl 1.16)

Writes chat/tokenizer.json, chat/tokenizer_config.json and chat/labels.json:
  templates  {name: text}
  cases      [{name, template?, record, input_ids, labels}]: what SFTTrainer makes of a record, by assistant_only_loss where
             the template marks the assistant's turns with {% generation %}, by its own rules for prompt and completion,
             and for text
"""
import json, os
os.environ.setdefault("HF_HUB_OFFLINE", "1")
from datasets import Dataset
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import SFTConfig, SFTTrainer

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat")
os.makedirs(OUT, exist_ok=True)
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = ["What is the word for pear? The word is bae.", "And for apple?\nThat would be sagwa, I think.",
        "user\nassistant\nsystem\ntool\nBe brief. 간단히 답하세요. 사과는 무엇입니까?"] * 4
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(
    vocab_size=360, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False))
tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in MARKS])
tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in ["<think>", "</think>"]])
tokenizer.save(f"{OUT}/tokenizer.json")
json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
          open(f"{OUT}/tokenizer_config.json", "w"))

CHATML = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
MARKED = ("{% for message in messages %}{% if message['role'] == 'assistant' %}{{ '<|im_start|>assistant\\n' }}"
          "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}{% else %}"
          "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")

def turns(*texts, system=None):
    messages = [{"role": "system", "content": system}] if system else []
    return messages + [{"role": ["user", "assistant"][i % 2], "content": text} for i, text in enumerate(texts)]

RECORDS = [
    ("marked", MARKED, {"messages": turns("What is the word for pear?", "bae")}),
    ("marked, several turns", MARKED,
     {"messages": turns("apple?", "sagwa", "And pear?", "bae, I think.", system="Be brief.")}),
    ("marked, the user last", MARKED, {"messages": turns("apple?", "sagwa", "And pear?")}),
    ("marked, Korean", MARKED, {"messages": turns("사과는?", " 간단히 sagwa\n", "", "bae")}),
    ("messages for prompt and completion", CHATML,
     {"prompt": turns("apple?", "sagwa", "And pear?", system="Be brief."),
      "completion": [{"role": "assistant", "content": "bae"}]}),
    ("prompt and completion", None, {"prompt": "The word for pear is", "completion": " bae."}),
    ("text", None, {"text": "The word for apple is sagwa."}),
]
model = LlamaForCausalLM(LlamaConfig(vocab_size=400, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                     num_attention_heads=1, max_position_embeddings=512))
cases = []
for name, template, record in RECORDS:
    fast = PreTrainedTokenizerFast(tokenizer_file=f"{OUT}/tokenizer.json", eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = template
    config = SFTConfig(output_dir="/tmp/make_chat", report_to=[], use_cpu=True, max_length=None,
                       assistant_only_loss=template == MARKED)
    trainer = SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list([record]), processing_class=fast)
    row = trainer.data_collator([trainer.train_dataset[0]])
    cases.append({"name": name, "record": record, "input_ids": row["input_ids"][0].tolist(),
                  "labels": row["labels"][0].tolist()})
    if template: cases[-1]["template"] = "marked" if template == MARKED else "chatml"
json.dump({"templates": {"chatml": CHATML, "marked": MARKED}, "cases": cases}, open(f"{OUT}/labels.json", "w"),
          ensure_ascii=False, indent=1)
