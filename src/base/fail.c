#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/activity.h"
#include "base/harmless.h"

enum { MESSAGE_BYTES = 4096 };

static _Thread_local char message[MESSAGE_BYTES];
static _Thread_local ExitCode message_code;
static void (*end_program)(int code) = exit;

// Names and texts of foreign files stand in messages.
static void write_text(char *text, size_t size, const char *format, va_list arguments)
{
    vsnprintf(text, size, format, arguments);
    harmless_make(text, strlen(text));
}

int fail(ExitCode code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(message, sizeof message, format, arguments);
    va_end(arguments);
    message_code = code;
    return -1;
}

int fail_context(const char *format, ...)
{
    char place[MESSAGE_BYTES / 4], reason[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    write_text(place, sizeof place, format, arguments);
    va_end(arguments);
    memcpy(reason, message, sizeof reason);
    snprintf(message, sizeof message, "%s: %.*s", place, (int)(MESSAGE_BYTES - sizeof place - 3),
             reason);
    return -1;
}

int fail_as(ExitCode code)
{
    message_code = code;
    return -1;
}

const char *fail_message(void)
{
    return message;
}

ExitCode fail_code(void)
{
    return message_code;
}

void failure_keep(Failure *failure)
{
    failure_forget(failure);
    failure->code = message_code;
    failure->message = strdup(message);
    if (!failure->message)
        die(EXIT_NO_MEMORY, "out of memory while keeping the failure: %s", message);
}

int failure_repeat(Failure *failure)
{
    fail(failure->code, "%s", failure->message);
    failure_forget(failure);
    return -1;
}

void failure_forget(Failure *failure)
{
    free(failure->message);
    *failure = (Failure){0};
}

static _Noreturn void end_with(ExitCode code)
{
    fflush(NULL);
    end_program(code);
    abort(); // an end that returns would leave a program running on broken state
}

void die(ExitCode code, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    write_text(text, sizeof text, format, arguments);
    va_end(arguments);
    activity_clear();
    fprintf(stderr, "error: %s\n", text);
    end_with(code);
}

void die_failed(void)
{
    die(message_code, "%s", message);
}

void warn(const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    write_text(text, sizeof text, format, arguments);
    va_end(arguments);
    activity_clear();
    fprintf(stderr, "warning: %s\n", text);
}

void die_set_end(void (*end)(int code))
{
    end_program = end ? end : exit;
}

void check_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    write_text(text, sizeof text, format, arguments);
    va_end(arguments);
    activity_clear();
    fprintf(stderr, "error: %s:%d: %s (%s): this is a bug, please report it\n", file, line, text,
            condition);
    end_with(EXIT_BUG);
}
