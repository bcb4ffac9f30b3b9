// toolbox_url.c - a tool that is a served function: one POST, one body.

#include "ask/curl_start.h"
#include "ask/toolbox_kinds.h"
#include "input/jsonl.h"

typedef struct {
    Bytes *bytes;
    size_t limit;
} Body;

// Taking less than all makes curl stop.
static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    Body *body = context;
    bytes_append(body->bytes, data, size * count);
    return body->bytes->length <= body->limit ? size * count : 0;
}

bool tool_run_url(const Tool *tool, const json_t *arguments, Bytes *result)
{
    Bytes input = {0}, authorization = {0};
    Body body = {result, tool->max_bytes};
    long status = 0;
    jsonl_append(&input, arguments);
    CURL *curl = curl_open_post(tool->url, &input, tool->timeout);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (tool->key) {
        bytes_print(&authorization, "Authorization: Bearer %s", tool->key);
        headers = curl_slist_append(headers, authorization.data);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    bytes_free(&input);
    bytes_free(&authorization);
    bool cut = code == CURLE_WRITE_ERROR && result->length > tool->max_bytes;
    if (code != CURLE_OK && !cut) {
        bytes_clear(result);
        bytes_print(result, "error: the tool gave no answer: %s", curl_easy_strerror(code));
        return false;
    }
    if (status < 200 || status > 299) {
        bytes_clear(result);
        bytes_print(result, "error: the tool answered with HTTP status %ld", status);
        return false;
    }
    return true;
}
