#include "tools/clinic_model.h"

#include <string.h>

#include "base/memory.h"
#include "files/atomic.h"
#include "files/directory.h"

const char *const clinic_specials[CLINIC_SPECIALS] = {"<|endoftext|>", "<|im_start|>",
                                                      "<|im_end|>"};

// Small enough for two cores to train in minutes, of the family's full shape otherwise.
enum {
    HIDDEN = 64,
    INTERMEDIATE = 192,
    LAYERS = 4,
    HEADS = 4,
    KEY_VALUE_HEADS = 2,
    CONTEXT = 2048
};

static int write_file(const char *directory, const char *name, const Bytes *text)
{
    Bytes path = {0};
    bytes_print(&path, "%s/%s", directory, name);
    int status = atomic_write_file(path.data, text->data, text->length);
    bytes_free(&path);
    return status;
}

static void append_config(Bytes *text, int vocabulary)
{
    bytes_print(text,
                "{\n"
                "  \"architectures\": [\"LlamaForCausalLM\"],\n"
                "  \"model_type\": \"llama\",\n"
                "  \"hidden_size\": %d,\n"
                "  \"intermediate_size\": %d,\n"
                "  \"num_hidden_layers\": %d,\n"
                "  \"num_attention_heads\": %d,\n"
                "  \"num_key_value_heads\": %d,\n"
                "  \"head_dim\": %d,\n"
                "  \"vocab_size\": %d,\n"
                "  \"max_position_embeddings\": %d,\n"
                "  \"hidden_act\": \"silu\",\n"
                "  \"rms_norm_eps\": 1e-05,\n"
                "  \"rope_theta\": 10000.0,\n"
                "  \"attention_bias\": false,\n"
                "  \"mlp_bias\": false,\n"
                "  \"tie_word_embeddings\": true,\n"
                "  \"initializer_range\": 0.08,\n"
                "  \"bos_token_id\": %d,\n"
                "  \"eos_token_id\": %d,\n"
                "  \"torch_dtype\": \"float32\"\n"
                "}\n",
                HIDDEN, INTERMEDIATE, LAYERS, HEADS, KEY_VALUE_HEADS, HIDDEN / HEADS, vocabulary,
                CONTEXT, CLINIC_END_OF_TEXT, CLINIC_IM_END);
}

static void append_generation_config(Bytes *text)
{
    bytes_print(text,
                "{\n"
                "  \"bos_token_id\": %d,\n"
                "  \"eos_token_id\": [%d, %d],\n"
                "  \"pad_token_id\": %d\n"
                "}\n",
                CLINIC_END_OF_TEXT, CLINIC_IM_END, CLINIC_END_OF_TEXT, CLINIC_END_OF_TEXT);
}

// ChatML without a default system message.
static void append_tokenizer_config(Bytes *text)
{
    bytes_print(text,
                "{\n"
                "  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n"
                "  \"bos_token\": \"%s\",\n"
                "  \"eos_token\": \"%s\",\n"
                "  \"pad_token\": \"%s\",\n"
                "  \"clean_up_tokenization_spaces\": false,\n"
                "  \"model_max_length\": %d,\n"
                "  \"chat_template\": \"{%% for message in messages %%}{{'<|im_start|>' + "
                "message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{%% endfor "
                "%%}{%% if add_generation_prompt %%}{{ '<|im_start|>assistant\\n' }}{%% endif "
                "%%}\"\n"
                "}\n",
                clinic_specials[CLINIC_END_OF_TEXT], clinic_specials[CLINIC_IM_END],
                clinic_specials[CLINIC_END_OF_TEXT], CONTEXT);
}

int clinic_model_write(const char *directory, const Bpe *bpe)
{
    Bytes config = {0}, generation = {0}, tokenizer = {0}, tokenizer_config = {0};
    append_config(&config, bpe_size(bpe));
    append_generation_config(&generation);
    bpe_append_json(bpe, &tokenizer);
    append_tokenizer_config(&tokenizer_config);
    int status = directory_make(directory) || write_file(directory, "config.json", &config) ||
                 write_file(directory, "generation_config.json", &generation) ||
                 write_file(directory, "tokenizer.json", &tokenizer) ||
                 write_file(directory, "tokenizer_config.json", &tokenizer_config);
    bytes_free(&config);
    bytes_free(&generation);
    bytes_free(&tokenizer);
    bytes_free(&tokenizer_config);
    return status ? -1 : 0;
}
