#define _GNU_SOURCE // strchrnul
#include "tools/show_log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/regular.h"
#include "files/raw.h"

enum { HEAD_LINES = 30 };

static void read_end(Bytes *text, const char *path)
{
    int64_t bytes = 0;
    int descriptor = regular_open(path, &bytes);
    if (descriptor < 0)
        return;
    int64_t first = bytes > SHOW_LOG_BYTES ? bytes - SHOW_LOG_BYTES : 0;
    size_t length = (size_t)(bytes - first);
    if (bytes_reserve(text, length) == 0 &&
        raw_read_at(descriptor, path, text->data, length, first) == 0)
        text->length = length;
    text->data[text->length] = 0;
    close(descriptor);
}

static const char *line_after(const char *line)
{
    const char *end = strchrnul(line, '\n');
    return *end ? end + 1 : end;
}

static const char *last_line(const char *text)
{
    const char *last = "";
    for (; *text; text = line_after(text))
        last = *text != '\n' ? text : last;
    return last;
}

// Where the line stands that begins with `word`, the last one of these in the text; NULL: nowhere.
static const char *find_last(const char *text, const char *word)
{
    const char *found = NULL;
    for (; *text; text = line_after(text))
        found = strncmp(text, word, strlen(word)) == 0 ? text : found;
    return found;
}

static void append_line(const char *line, Bytes *out)
{
    bytes_append(out, line, strcspn(line, "\n"));
}

void show_log_open(ShowLog *log, const char *directory)
{
    Bytes path = {0};
    *log = (ShowLog){0};
    bytes_append(&log->text, "", 0);
    bytes_print(&path, "%s/log.txt", directory);
    if (access(path.data, F_OK) == 0)
        read_end(&log->text, path.data);
    const char *head = find_last(log->text.data, "learn2ask ");
    log->head = head ? head : "";
    log->end = last_line(log->text.data);
    bytes_free(&path);
}

void show_log_close(ShowLog *log)
{
    bytes_free(&log->text);
}

bool show_log_field(const ShowLog *log, const char *name, Bytes *out)
{
    const char *line = log->head;
    size_t length = strlen(name);
    for (int i = 0; i < HEAD_LINES && *line; i++, line = line_after(line)) {
        if (strncmp(line, name, length) != 0 || line[length] != ' ')
            continue;
        append_line(line + length + strspn(line + length, " "), out);
        return true;
    }
    return false;
}

int64_t show_log_ranks(const ShowLog *log)
{
    Bytes text = {0};
    int64_t ranks = show_log_field(log, "ranks", &text) ? strtoll(text.data, NULL, 10) : 0;
    bytes_free(&text);
    return ranks > 0 && ranks < 1 << 24 ? ranks : 0;
}

bool show_log_finished(const ShowLog *log)
{
    return strncmp(log->end, "RESULT ", 7) == 0;
}

bool show_log_stopped(const ShowLog *log, Bytes *reason)
{
    static const char words[] = "stopped at step ";
    if (strncmp(log->end, words, sizeof words - 1) != 0)
        return false;
    const char *colon = strstr(log->end, ": ");
    if (colon)
        append_line(colon + 2, reason);
    return true;
}

bool show_log_early(const ShowLog *log, Bytes *out)
{
    const char *line = find_last(log->head, "stopped early: ");
    if (line)
        append_line(line, out);
    return line != NULL;
}
