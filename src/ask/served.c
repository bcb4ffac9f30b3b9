#include "ask/served.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask/curl_start.h"
#include "ask/served_request.h"
#include "base/activity.h"
#include "base/clock.h"
#include "base/fail.h"

static const double LONGEST_WAIT = 120; // seconds between two tries, whatever the server asks for

typedef struct Request {
    struct Request *next;
    Bytes body;   // sent
    Bytes answer; // received so far
    bool too_long;
    CURL *curl;        // owned, while a try is under way
    double not_before; // when it may be sent
    ServedAnswer result;
} Request;

// First in, first out.
typedef struct {
    Request *first, *last;
} Line;

struct Served {
    ServedSettings settings;
    char *address;              // owned
    char *key;                  // owned; NULL: none
    struct curl_slist *headers; // owned
    CURLM *multi;               // owned; the worker's
    pthread_t worker;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    // Under the mutex:
    Line submitted, done;
    int64_t outstanding;
    bool closing;
    // The worker's:
    Line waiting;
    Request **active; // owned, [in_flight]
    int64_t active_count;
    uint64_t jitter; // state of a generator for waits: nothing else depends on it
};

static void push(Line *queue, Request *request)
{
    request->next = NULL;
    if (queue->last)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
}

static Request *pop(Line *queue)
{
    Request *request = queue->first;
    if (request) {
        queue->first = request->next;
        queue->last = queue->first ? queue->last : NULL;
    }
    return request;
}

static void request_free(Request *request)
{
    if (request->curl)
        curl_easy_cleanup(request->curl);
    bytes_free(&request->body);
    bytes_free(&request->answer);
    served_answer_free(&request->result);
    release(request);
}

static int read_key(const ServedSettings *settings, const char **key)
{
    *key = settings->key_variable[0] ? getenv(settings->key_variable) : NULL;
    if (settings->key_variable[0] && (!*key || !**key))
        return fail(EXIT_BAD_SETTINGS, "key_variable: the environment has no variable %s",
                    settings->key_variable);
    for (const char *c = *key; c && *c; c++)
        if (*c <= ' ' || *c > '~')
            return fail(EXIT_BAD_SETTINGS, "key_variable: %s holds something that is no key",
                        settings->key_variable);
    return 0;
}

int served_check(const ServedSettings *settings)
{
    const char *key, *url = settings->url;
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : NULL;
    if (!host || !*host || strpbrk(url, " \t\r\n"))
        return fail(EXIT_BAD_SETTINGS,
                    "url = %s: must be an address such as http://localhost:8000/v1", url);
    if (strchr(host, '@'))
        return fail(EXIT_BAD_SETTINGS, "url: holds a name or password; use key_variable");
    return read_key(settings, &key);
}

// A wait in seconds before try number `tries` + 1: anything up to backoff * 2^(tries - 1).
static double wait_before(Served *served, int64_t tries)
{
    double most = served->settings.backoff;
    for (int64_t i = 1; i < tries && most < LONGEST_WAIT; i++)
        most *= 2;
    served->jitter = served->jitter * 6364136223846793005u + 1442695040888963407u;
    double share = (double)(served->jitter >> 40) / (double)(1 << 24);
    return (most < LONGEST_WAIT ? most : LONGEST_WAIT) * (0.5 + 0.5 * share);
}

static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    Request *request = context;
    bytes_append(&request->answer, data, size * count);
    request->too_long = request->answer.length > SERVED_ANSWER_LIMIT;
    return request->too_long ? 0 : size * count;
}

static void start(Served *served, Request *request)
{
    const ServedSettings *settings = &served->settings;
    CURL *curl = request->curl = curl_open_post(served->address, &request->body, settings->timeout);
    bytes_clear(&request->answer);
    request->result.tries++;
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, served->headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, request);
    curl_multi_add_handle(served->multi, curl);
    served->active[served->active_count++] = request;
}

// What came of a try. True: it is settled; else `reason` says why it is worth another.
static bool judge(Served *served, Request *request, CURLcode code, Bytes *reason)
{
    long status = 0;
    curl_easy_getinfo(request->curl, CURLINFO_RESPONSE_CODE, &status);
    bytes_append(&request->answer, "", 0);
    if (request->too_long) {
        bytes_print(reason, "the answer is longer than %d MiB", SERVED_ANSWER_LIMIT >> 20);
        return true;
    }
    if (code != CURLE_OK) {
        bytes_append_text(reason, curl_easy_strerror(code));
        return false;
    }
    if (status == 200) {
        request->result.ok =
            request_read(request->answer.data, request->answer.length, &request->result);
        if (!request->result.ok)
            bytes_append_text(reason, "the answer is no chat completion in JSON and UTF-8");
        return request->result.ok;
    }
    bytes_print(reason, "HTTP status %ld: ", status);
    request_read_error(request->answer.data, request->answer.length, served->key, reason);
    if (strstr(reason->data, "repetition_penalty"))
        bytes_append_text(reason, "; repetition_penalty = 1 is not sent");
    return status != 408 && status != 429 && status < 500;
}

static double retry_after(CURL *curl)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds);
    return (double)seconds < LONGEST_WAIT ? (double)seconds : LONGEST_WAIT;
}

static void deliver(Served *served, Request *request)
{
    pthread_mutex_lock(&served->mutex);
    push(&served->done, request);
    pthread_cond_signal(&served->answered);
    pthread_mutex_unlock(&served->mutex);
}

static void finish(Served *served, Request *request, CURLcode code)
{
    Bytes reason = {0};
    bool settled = judge(served, request, code, &reason);
    double asked = retry_after(request->curl);
    curl_multi_remove_handle(served->multi, request->curl);
    curl_easy_cleanup(request->curl);
    request->curl = NULL;
    if (!settled && request->result.tries <= served->settings.retries) {
        double wait = wait_before(served, request->result.tries);
        request->not_before = clock_now() + (asked > wait ? asked : wait);
        push(&served->waiting, request);
        bytes_free(&reason);
        return;
    }
    if (!request->result.ok) {
        bytes_print(&reason, " (%s, %lld %s)", served->address, (long long)request->result.tries,
                    request->result.tries > 1 ? "tries" : "try");
        request->result.failure = reason.data;
    } else {
        bytes_free(&reason);
    }
    deliver(served, request);
}

static void take_finished(Served *served)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(served->multi, &left)) != NULL;) {
        Request *request;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        int64_t at = 0;
        while (served->active[at] != request)
            at++;
        served->active[at] = served->active[--served->active_count];
        finish(served, request, message->data.result);
    }
}

// Starts what may be sent; returns the seconds until something else may.
static double start_waiting(Served *served)
{
    double now = clock_now(), soonest = 3600;
    Line later = {0};
    for (Request *request; (request = pop(&served->waiting)) != NULL;) {
        bool due = request->not_before <= now;
        if (due && served->active_count < served->settings.in_flight) {
            start(served, request);
            continue;
        }
        if (!due && request->not_before - now < soonest)
            soonest = request->not_before - now;
        push(&later, request);
    }
    served->waiting = later;
    return soonest;
}

static bool take_submitted(Served *served)
{
    pthread_mutex_lock(&served->mutex);
    for (Request *request; (request = pop(&served->submitted)) != NULL;)
        push(&served->waiting, request);
    bool closing = served->closing;
    pthread_mutex_unlock(&served->mutex);
    return !closing;
}

static void *work(void *context)
{
    Served *served = context;
    while (take_submitted(served)) {
        int running;
        double soonest = start_waiting(served);
        curl_multi_perform(served->multi, &running);
        int64_t before = served->active_count;
        take_finished(served);
        if (served->active_count > 0) {
            activity_sign(); // a slow server is no hang: requests have limits of their own
            soonest = soonest < 1 ? soonest : 1;
        }
        if (served->active_count == before)
            curl_multi_poll(served->multi, NULL, 0, (int)(soonest * 1000) + 1, NULL);
    }
    return NULL;
}

static void add_header(Served *served, const char *header)
{
    served->headers = curl_slist_append(served->headers, header);
}

// The worker gets no signal: they are the main thread's.
static void start_worker(Served *served)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&served->worker, NULL, work, served) != 0)
        die(EXIT_NO_MEMORY, "no thread for a served model");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

Served *served_open(const ServedSettings *settings)
{
    const char *key;
    Bytes address = {0}, authorization = {0};
    if (served_check(settings) != 0 || read_key(settings, &key) != 0)
        return NULL;
    curl_start();
    Served *served = allocate(1, sizeof *served);
    request_address(settings->url, &address);
    *served = (Served){.settings = *settings,
                       .address = address.data,
                       .key = key ? duplicate(key) : NULL,
                       .multi = curl_multi_init(),
                       .jitter = (uint64_t)(clock_now() * 1e9)};
    served->active = allocate((size_t)settings->in_flight, sizeof *served->active);
    curl_multi_setopt(served->multi, CURLMOPT_MAXCONNECTS, (long)settings->in_flight);
    add_header(served, "Content-Type: application/json");
    add_header(served, "Expect:"); // else long questions wait a second for a go-ahead
    if (key) {
        bytes_print(&authorization, "Authorization: Bearer %s", key);
        add_header(served, authorization.data);
        bytes_free(&authorization);
    }
    pthread_mutex_init(&served->mutex, NULL);
    pthread_cond_init(&served->answered, NULL);
    start_worker(served);
    return served;
}

static void free_all(Line *queue)
{
    for (Request *request; (request = pop(queue)) != NULL;)
        request_free(request);
}

void served_close(Served *served)
{
    pthread_mutex_lock(&served->mutex);
    served->closing = true;
    pthread_mutex_unlock(&served->mutex);
    curl_multi_wakeup(served->multi);
    pthread_join(served->worker, NULL);
    for (int64_t i = 0; i < served->active_count; i++) {
        curl_multi_remove_handle(served->multi, served->active[i]->curl);
        request_free(served->active[i]);
    }
    free_all(&served->submitted);
    free_all(&served->waiting);
    free_all(&served->done);
    curl_multi_cleanup(served->multi);
    curl_slist_free_all(served->headers);
    pthread_cond_destroy(&served->answered);
    pthread_mutex_destroy(&served->mutex);
    release(served->active);
    release(served->address);
    release(served->key);
    release(served);
}

void served_submit(Served *served, int64_t tag, const ChatMessage *messages, int64_t count,
                   uint32_t seed)
{
    Request *request = allocate(1, sizeof *request);
    request->result.tag = tag;
    request_body(&served->settings, messages, count, seed, &request->body);
    pthread_mutex_lock(&served->mutex);
    push(&served->submitted, request);
    served->outstanding++;
    pthread_mutex_unlock(&served->mutex);
    curl_multi_wakeup(served->multi);
}

static bool take_done(Served *served, bool wait, ServedAnswer *answer)
{
    pthread_mutex_lock(&served->mutex);
    while (wait && served->outstanding > 0 && !served->done.first)
        pthread_cond_wait(&served->answered, &served->mutex);
    Request *request = pop(&served->done);
    served->outstanding -= request != NULL;
    pthread_mutex_unlock(&served->mutex);
    if (!request)
        return false;
    *answer = request->result;
    request->result = (ServedAnswer){0};
    request_free(request);
    return true;
}

bool served_next(Served *served, ServedAnswer *answer)
{
    return take_done(served, true, answer);
}

bool served_poll(Served *served, ServedAnswer *answer)
{
    return take_done(served, false, answer);
}

void served_answer_free(ServedAnswer *answer)
{
    release(answer->text);
    release(answer->failure);
    *answer = (ServedAnswer){0};
}
