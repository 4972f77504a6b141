// The files of model/, as they are. Another model is embedded by replacing them; nothing else knows what is in them.
// Those behind __has_embed may be missing, and the build looks for one that is new only when this file is compiled again.

#include "CEmbedded.h"

static const unsigned char config[] = {
#embed "model/config.json"
};

#if __has_embed("model/generation_config.json")
#define HAS_GENERATION_CONFIG
static const unsigned char generation_config[] = {
#embed "model/generation_config.json"
};
#endif

#if __has_embed("model/merges.txt")
#define HAS_MERGES
static const unsigned char merges[] = {
#embed "model/merges.txt"
};
#endif

static const unsigned char weights[] = {
#embed "model/model.safetensors"
};

#if __has_embed("model/special_tokens_map.json")
#define HAS_SPECIAL_TOKENS_MAP
static const unsigned char special_tokens_map[] = {
#embed "model/special_tokens_map.json"
};
#endif

static const unsigned char tokenizer[] = {
#embed "model/tokenizer.json"
};

#if __has_embed("model/tokenizer_config.json")
#define HAS_TOKENIZER_CONFIG
static const unsigned char tokenizer_config[] = {
#embed "model/tokenizer_config.json"
};
#endif

#if __has_embed("model/vocab.json")
#define HAS_VOCAB
static const unsigned char vocab[] = {
#embed "model/vocab.json"
};
#endif

static const sft_embedded_file files[] = {
    {"config.json", config, sizeof config},
#ifdef HAS_GENERATION_CONFIG
    {"generation_config.json", generation_config, sizeof generation_config},
#endif
#ifdef HAS_MERGES
    {"merges.txt", merges, sizeof merges},
#endif
    {"model.safetensors", weights, sizeof weights},
#ifdef HAS_SPECIAL_TOKENS_MAP
    {"special_tokens_map.json", special_tokens_map, sizeof special_tokens_map},
#endif
    {"tokenizer.json", tokenizer, sizeof tokenizer},
#ifdef HAS_TOKENIZER_CONFIG
    {"tokenizer_config.json", tokenizer_config, sizeof tokenizer_config},
#endif
#ifdef HAS_VOCAB
    {"vocab.json", vocab, sizeof vocab},
#endif
};

const sft_embedded_file *sft_embedded_file_at(size_t index) {
  return index < sizeof files / sizeof files[0] ? &files[index] : NULL;
}
