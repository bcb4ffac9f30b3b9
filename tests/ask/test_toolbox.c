// test_toolbox.c - tools that work, hang, crash or talk too much, and how they may be declared.

#define _GNU_SOURCE // setenv, mkdtemp, accept4
#include "tests/testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask/toolbox.h"
#include "base/clock.h"
#include "base/fail.h"
#include "tests/ask/server.h"

static char folder[] = "/tmp/learn2ask_test_XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

#define TOOL(fields) "{\"name\": \"t\", \"description\": \"d\", \"parameters\": {}, " fields "}"

static Toolbox *toolbox_of(const char *fields)
{
    Bytes text = {0};
    bytes_print(&text, "[" TOOL("%s") "]", fields);
    put_file("tools.json", text.data);
    bytes_free(&text);
    Toolbox *toolbox = toolbox_open("tools.json");
    if (!toolbox)
        fail_msg("%s", fail_message());
    return toolbox;
}

// What the tool of `fields` says to the arguments; to be freed.
static Bytes run(const char *fields, const char *arguments, bool good)
{
    Toolbox *toolbox = toolbox_of(fields);
    ToolCall call = {.name = "t", .arguments = json_loads(arguments, 0, NULL)};
    Bytes result = {0};
    assert_non_null(call.arguments);
    bool ran = toolbox_run(toolbox, &call, &result);
    if (ran != good)
        fail_msg("%s: %s", fields, result.data);
    json_decref(call.arguments);
    toolbox_close(toolbox);
    return result;
}

static void expect(const char *fields, bool good, const char *text)
{
    Bytes result = run(fields, "{\"a\": 1}", good);
    assert_string_equal(result.data, text);
    bytes_free(&result);
}

#define SHELL(script) "\"command\": [\"sh\", \"-c\", \"" script "\"], \"timeout\": 0.5"

static void a_command_gets_its_arguments_and_says_its_result(void **state)
{
    (void)state;
    expect(SHELL("cat"), true, "{\"a\": 1}");
    expect(SHELL("echo two; echo lines"), true, "two\nlines");
    expect(SHELL("true"), true, "");
    expect(SHELL("printf 'a\\\\377b'"), true,
           "a\xEF\xBF\xBD"
           "b");
}

static void a_tool_that_fails_says_so(void **state)
{
    (void)state;
    expect(SHELL("echo x; exit 3"), false, "error: the tool failed with status 3");
    expect(SHELL("kill -SEGV $$"), false, "error: the tool was ended by signal 11");
    expect("\"command\": [\"no-such-program-here\"]", false, "error: the tool cannot be started");
}

// A process that is gone has no /proc entry, or is dead there.
static bool is_alive(int process)
{
    char path[64], name[64], mark = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%63[^)]) %c", name, &mark) != 2)
        mark = 'X';
    fclose(file);
    return mark != 'Z' && mark != 'X';
}

static void expect_child_gone(void)
{
    int process = 0;
    FILE *file = fopen("child", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &process), 1);
    fclose(file);
    for (int i = 0; i < 300 && is_alive(process); i++)
        usleep(10000);
    assert_false(is_alive(process));
}

static void a_tool_that_hangs_is_ended_with_all_it_started(void **state)
{
    (void)state;
    double since = clock_now();
    expect(SHELL("sleep 60 & echo $! >child; sleep 60"), false,
           "error: the tool gave no answer within 0.5 s");
    expect(SHELL("exec >&-; sleep 60"), false, "error: the tool gave no answer within 0.5 s");
    expect(SHELL("trap '' TERM INT; while :; do printf .; sleep 0.05; done"), false,
           "error: the tool gave no answer within 0.5 s");
    assert_true(clock_now() - since < 3);
    expect_child_gone();
}

static void output_that_never_ends_is_cut(void **state)
{
    (void)state;
    double since = clock_now();
    Bytes result = run("\"command\": [\"yes\", \"\\u00e4\"], \"max_bytes\": 100", "{}", true);
    assert_non_null(strstr(result.data, "\n[cut after 100 bytes]"));
    assert_true(result.length < 130);
    bytes_free(&result);
    result = run("\"command\": [\"head\", \"-c\", \"10000000\", \"/dev/zero\"]", "{}", true);
    assert_non_null(strstr(result.data, "[cut after 16384 bytes]"));
    bytes_free(&result);
    assert_true(clock_now() - since < 2);
}

static void what_outlives_its_tool_is_ended(void **state)
{
    (void)state;
    expect(SHELL("sleep 60 <&- >&- & echo $! >child; echo done"), true, "done");
    expect_child_gone();
}

static void a_result_is_cut_between_characters(void **state)
{
    (void)state;
#define PRINT(text, most) "\"command\": [\"printf\", \"" text "\"], \"max_bytes\": " most
    expect(PRINT("a\u00e4\u00e4\u00e4", "4"), true, "a\u00e4\n[cut after 4 bytes]");
    expect(PRINT("a\u00e4\u00e4\u00e4", "5"), true, "a\u00e4\u00e4\n[cut after 5 bytes]");
    expect(PRINT("a\u00e4\u00e4", "5"), true, "a\u00e4\u00e4");
    expect(PRINT("a\\\\000b\\\\303", "8"), true, "a\uFFFDb\uFFFD");
    expect(PRINT("a\\\\000b\\\\303", "7"), true, "a\uFFFDb\n[cut after 7 bytes]"); // as it is shown
}

static int open_descriptors(void)
{
    int count = 0;
    for (int descriptor = 0; descriptor < 256; descriptor++)
        count += fcntl(descriptor, F_GETFD) >= 0;
    return count;
}

static void a_toolbox_leaves_no_descriptor_and_no_process(void **state)
{
    (void)state;
    int before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        expect("\"command\": [\"true\"]", true, "");
        expect("\"command\": [\"no-such-program-here\"]", false,
               "error: the tool cannot be started");
        expect("\"command\": [\"yes\"], \"max_bytes\": 1", true, "y\n[cut after 1 bytes]");
    }
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

// The shell ends at once, its child keeps the output: we do not wait longer than the time-out.
static void output_kept_open_by_a_child_does_not_hang_us(void **state)
{
    (void)state;
    double since = clock_now();
    expect(SHELL("sleep 30 & echo done"), false, "error: the tool gave no answer within 0.5 s");
    assert_true(clock_now() - since < 2);
}

static void arguments_nobody_reads_are_no_fault(void **state)
{
    (void)state;
    Bytes arguments = {0};
    bytes_append_text(&arguments, "{\"a\": \"");
    for (int i = 0; i < 1000000; i++)
        bytes_append_text(&arguments, "x");
    bytes_append_text(&arguments, "\"}");
    Bytes result = run(SHELL("exec <&-; echo fine"), arguments.data, true);
    assert_string_equal(result.data, "fine");
    bytes_free(&result);
    result = run("\"command\": [\"wc\", \"-c\"]", arguments.data, true);
    assert_string_equal(result.data, "1000010");
    bytes_free(&result);
    bytes_free(&arguments);
}

static void a_tool_inherits_nothing_of_ours(void **state)
{
    (void)state;
    setenv("SECRET_OF_OURS", "key", 1);
    setenv("LANG", "C", 1);
    setenv("HOME", "/", 1);
    Bytes wanted = {0};
    bytes_print(&wanted, "PATH=%s\nHOME=/\nLANG=C", getenv("PATH"));
    int descriptor = open("/dev/null", O_RDONLY); // without close-on-exec
    expect("\"command\": [\"env\"]", true, wanted.data);
    bytes_free(&wanted);
    expect(SHELL("ls /proc/self/fd | grep -cv '^[0-3]$'; true"), true, "0"); // 3: of ls itself
    close(descriptor);
    put_file("beside", "#!/bin/sh\necho beside\n");
    chmod("beside", 0700);
    expect("\"command\": [\"./beside\"]", true, "beside");
}

static void a_call_that_cannot_be_run_says_why(void **state)
{
    (void)state;
    Toolbox *toolbox = toolbox_of(SHELL("cat"));
    Bytes result = {0};
    ToolCall call = {.name = "other", .arguments = json_object()};
    assert_false(toolbox_run(toolbox, &call, &result));
    assert_string_equal(result.data, "error: there is no such tool; there are t");
    bytes_clear(&result);
    assert_false(toolbox_run(toolbox, &(ToolCall){.problem = "bad"}, &result));
    assert_string_equal(result.data, "error: bad");
    json_decref(call.arguments);
    bytes_free(&result);
    toolbox_close(toolbox);
}

static void a_look_up_finds_the_nearest_entries(void **state)
{
    (void)state;
    put_file("k.jsonl", "{\"title\": \"cough\", \"text\": \"ask for sputum\"}\n"
                        "{\"title\": \"fever\", \"text\": \"ask for chills\"}\n"
                        "{\"title\": \"coughing blood\", \"text\": \"ask for weight\"}\n"
                        "{\"title\": \"fever\", \"text\": \"ask for sweats\"}\n");
    static const char fields[] = "\"lookup\": \"k.jsonl\", \"results\": 2";
    Bytes result = run(fields, "{\"query\": \"He coughs up blood\"}", true);
    assert_string_equal(result.data, "coughing blood: ask for weight\ncough: ask for sputum");
    bytes_free(&result);
    result = run(fields, "{\"query\": \"fever\"}", true); // equals stand in the order of the file
    assert_string_equal(result.data, "fever: ask for chills\nfever: ask for sweats");
    bytes_free(&result);
    result = run(fields, "{\"query\": \"knee\"}", true);
    assert_string_equal(result.data, "nothing found");
    bytes_free(&result);
    result = run(fields, "{\"question\": \"knee\"}", false);
    assert_string_equal(result.data, "error: the argument query is missing or not a string");
    bytes_free(&result);
}

static void a_served_function_is_posted_to(void **state)
{
    (void)state;
    Server server;
    char fields[256];
    if (!server_start(&server))
        skip();
    static const char arguments[] =
        "{\"model\": \"fixed:good\", \"messages\": [{\"content\": \"x\"}]}";
    snprintf(fields, sizeof fields, "\"url\": \"%s/chat/completions\"", server.url);
    setenv("http_proxy", "http://127.0.0.1:1", 1); // would see a key: it is not used
    Bytes result = run(fields, arguments, true);
    assert_non_null(strstr(result.data, "\"content\": \"good\""));
    unsetenv("http_proxy");
    bytes_free(&result);
    result =
        run(fields, "{\"model\": \"always_503\", \"messages\": [{\"content\": \"x\"}]}", false);
    assert_string_equal(result.data, "error: the tool answered with HTTP status 503");
    bytes_free(&result);
    snprintf(fields, sizeof fields, "\"url\": \"%s/chat/completions\", \"timeout\": 0.2",
             server.url);
    result = run(fields, "{\"model\": \"delay:5\", \"messages\": [{\"content\": \"x\"}]}", false);
    assert_string_equal(result.data, "error: the tool gave no answer: Timeout was reached");
    bytes_free(&result);
    server_stop(&server);
}

// Answers one request with what was asked, head and body.
static void echo_request(int listener)
{
    static const char head[] = "HTTP/1.0 200 OK\r\n\r\n";
    char request[4096] = {0};
    size_t length = 0;
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    for (ssize_t read_now = 1; read_now > 0 && !memchr(request, '}', length);
         length += (size_t)read_now)
        read_now = read(client, request + length, sizeof request - length);
    if (write(client, head, sizeof head - 1) < 0 || write(client, request, length) < 0)
        _exit(1);
    _exit(0);
}

static void a_served_function_is_sent_the_key_and_nothing_but_the_arguments(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    pid_t process = fork();
    if (process == 0)
        echo_request(listener);
    char fields[128];
    setenv("KEY_OF_THE_TOOL", "k3y", 1);
    snprintf(fields, sizeof fields,
             "\"url\": \"http://127.0.0.1:%d/f\", \"key_variable\": \"KEY_OF_THE_TOOL\"",
             ntohs(address.sin_port));
    Bytes result = run(fields, "{\"a\": 1}", true);
    assert_int_equal(strncmp(result.data, "POST /f HTTP/1.1\r\n", 18), 0);
    assert_non_null(strstr(result.data, "\r\nAuthorization: Bearer k3y\r\n"));
    assert_non_null(strstr(result.data, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(result.data, "\r\n\r\n{\"a\": 1}"));
    bytes_free(&result);
    close(listener);
    assert_int_equal(waitpid(process, NULL, 0), process);
    expect(fields, false, "error: the tool gave no answer: Couldn't connect to server");
}

static void expect_refusal(const char *text, ExitCode code, const char *part)
{
    put_file("bad.json", text);
    assert_null(toolbox_open("bad.json"));
    assert_int_equal(fail_code(), code);
    if (!strstr(fail_message(), part))
        fail_msg("expected '%s' in '%s'", part, fail_message());
    assert_non_null(strstr(fail_message(), "bad.json"));
}

static void a_file_that_declares_badly_is_refused(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"{}", "must be a list of at least one tool"},
        {"[]", "must be a list of at least one tool"},
        {"[1]", "tool 1: is no object"},
        {"[{\"description\": \"d\"}]", "name is missing or not a string"},
        {"[{\"name\": \"a b\"}]", "1 to 64 letters"},
        {"[" TOOL("\"command\": [\"cat\"], \"shell\": 1") "]", "a field that is not known"},
        {"[" TOOL("\"timeout\": 1") "]", "exactly one of command, url and lookup"},
        {"[" TOOL("\"command\": [\"cat\"], \"url\": \"http://x\"") "]", "exactly one of"},
        {"[" TOOL("\"command\": []") "]", "a list of a program"},
        {"[" TOOL("\"command\": [\"cat\", 1]") "]", "a list of strings"},
        {"[" TOOL("\"url\": \"file:///etc/passwd\"") "]", "must begin with http"},
        {"[" TOOL("\"url\": \"http://x\", \"key_variable\": \"NO_SUCH_ONE\"") "]",
         "the environment has no variable NO_SUCH_ONE"},
        {"[" TOOL("\"url\": \"http://x\", \"key_variable\": \"BROKEN_KEY\"") "]",
         "the key in BROKEN_KEY holds a line break"},
        {"[" TOOL("\"command\": \"cat\"") "]", "a list of a program"},
        {"[" TOOL("\"lookup\": 3") "]", "lookup must be the name of a file"},
        {"[" TOOL("\"url\": 3") "]", "must begin with http"},
        {"[" TOOL("\"lookup\": \"k.jsonl\", \"results\": 1001") "]", "results must be a number"},
        {"[" TOOL("\"command\": [\"cat\"], \"timeout\": -1") "]", "timeout must be a number from"},
        {"[" TOOL("\"command\": [\"cat\"], \"max_bytes\": \"1\"") "]",
         "max_bytes must be a number"},
        {"[" TOOL("\"command\": [\"cat\"]") "," TOOL("\"command\": [\"cat\"]") "]",
         "tool 2: name was declared before"},
        {"[{\"name\": \"a\", \"command\": [\"cat\"], \"parameters\": {}}]",
         "description is missing"},
        {"[{\"name\": \"a\", \"command\": [\"cat\"], \"description\": \"\"}]",
         "parameters is missing"},
    };
    setenv("BROKEN_KEY", "a\nX: b", 1);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_refusal(texts[i][0], EXIT_BAD_SETTINGS, texts[i][1]);
    expect_refusal("[{]", EXIT_BAD_DATA, "bad.json:1: ");
    expect_refusal("[{\"name\": \"a\", \"name\": \"b\"}]", EXIT_BAD_DATA, "bad.json:1: duplicate");
    expect_refusal("[" TOOL("\"command\": [\"./no-such-file\"]") "]", EXIT_NO_INPUT,
                   "./no-such-file cannot be executed");
    expect_refusal("[" TOOL("\"lookup\": \"none.jsonl\"") "]", EXIT_NO_INPUT, "none.jsonl");
    put_file("empty.jsonl", "");
    expect_refusal("[" TOOL("\"lookup\": \"empty.jsonl\"") "]", EXIT_BAD_DATA, "holds no entry");
    put_file("odd.jsonl", "{\"title\": 1}\n");
    expect_refusal("[" TOOL("\"lookup\": \"odd.jsonl\"") "]", EXIT_BAD_DATA, "odd.jsonl:1");
    put_file("bad.json", "");
    assert_int_equal(truncate("bad.json", (off_t)TOOLBOX_FILE_LIMIT + 1), 0);
    assert_null(toolbox_open("bad.json"));
    assert_non_null(strstr(fail_message(), "at most 16777216 are allowed"));
    assert_null(toolbox_open("no-such.json"));
    assert_int_equal(fail_code(), EXIT_NO_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_gets_its_arguments_and_says_its_result),
        cmocka_unit_test(a_tool_that_fails_says_so),
        cmocka_unit_test(a_tool_that_hangs_is_ended_with_all_it_started),
        cmocka_unit_test(output_that_never_ends_is_cut),
        cmocka_unit_test(what_outlives_its_tool_is_ended),
        cmocka_unit_test(a_result_is_cut_between_characters),
        cmocka_unit_test(a_toolbox_leaves_no_descriptor_and_no_process),
        cmocka_unit_test(output_kept_open_by_a_child_does_not_hang_us),
        cmocka_unit_test(arguments_nobody_reads_are_no_fault),
        cmocka_unit_test(a_tool_inherits_nothing_of_ours),
        cmocka_unit_test(a_call_that_cannot_be_run_says_why),
        cmocka_unit_test(a_look_up_finds_the_nearest_entries),
        cmocka_unit_test(a_served_function_is_posted_to),
        cmocka_unit_test(a_served_function_is_sent_the_key_and_nothing_but_the_arguments),
        cmocka_unit_test(a_file_that_declares_badly_is_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
