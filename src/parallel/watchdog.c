#include "parallel/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "parallel/deadline.h"
#include "parallel/hang.h"
#include "parallel/rank_files.h"
#include "parallel/recorder.h"

static const int64_t SECOND = 1000000000;
static const double SPEAKER_SECONDS = 10; // that the rank which speaks takes to end the others

static int rank, size = 1;
static bool threaded, stopping;    // the latter under `mutex`
static _Atomic int64_t not_before; // the clock when a wait may be judged next
static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken;

// ---- what can be seen ---------------------------------------------------------------------------

static ProcessState state_of(const RankRecord *record, const RankRecord *mine)
{
    char path[64], text[512] = "";
    if (strcmp(record->host, mine->host) != 0)
        return PROCESS_UNKNOWN;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)record->pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return kill(record->pid, 0) != 0 && errno == ESRCH ? PROCESS_GONE : PROCESS_UNKNOWN;
    const char *name_end = fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    fclose(file);
    char state = name_end && name_end[1] ? name_end[2] : '?';
    return state == 'T' || state == 't'   ? PROCESS_STOPPED
           : state == 'Z' || state == 'X' ? PROCESS_GONE
                                          : PROCESS_RUNS;
}

static int64_t limit_of(void)
{
    return (int64_t)(deadline_seconds() * (double)SECOND);
}

// What the ranks have noted up to now; look_end frees it.
static void look_begin(Watch *watch, RankRecord **records)
{
    const char *directory = recorder_directory();
    const RankRecord *mine = recorder_own();
    WatchedRank *ranks = allocate((size_t)size, sizeof *ranks);
    *records = allocate((size_t)size, sizeof **records);
    for (int r = 0; r < size; r++) {
        RankRecord *copy = *records + r;
        if (r == rank)
            memcpy(copy, mine, sizeof *copy);
        bool valid = r == rank ||
                     (directory && rank_file_read(directory, r, copy) && copy->job == mine->job);
        ranks[r].record = valid ? copy : NULL;
        ranks[r].process = valid ? state_of(copy, mine) : PROCESS_UNKNOWN;
    }
    *watch = (Watch){
        .ranks = ranks, .size = size, .me = rank, .now = clock_nanoseconds(), .limit = limit_of()};
}

static void look_end(Watch *watch, RankRecord *records)
{
    release((void *)(uintptr_t)watch->ranks);
    release(records);
}

// ---- the end ------------------------------------------------------------------------------------

// The first one speaks; it ends the others, who give it the time.
_Noreturn static void end_job(const Watch *watch, Bytes *verdict, void (*end)(void))
{
    const char *directory = recorder_directory();
    Bytes text = {0};
    bytes_print(&text, "%s\n\n", verdict->data);
    hang_print(watch, &text);
    if (directory && !rank_files_judge(directory, text.data))
        clock_sleep(SPEAKER_SECONDS);
    if (directory)
        bytes_print(verdict, "; what every rank did is in %s/verdict", directory);
    if (end)
        end();
    die(EXIT_UNAVAILABLE, "%s", verdict->data);
}

static void look(void (*end)(void))
{
    Watch watch;
    RankRecord *records;
    Bytes verdict = {0};
    int64_t again;
    look_begin(&watch, &records);
    bool hangs = hang_find(&watch, &verdict, &again);
    // The wait may have ended meanwhile.
    if (hangs && atomic_load(&recorder_own()->waiting) == atomic_load(&records[rank].waiting))
        end_job(&watch, &verdict, end);
    bytes_free(&verdict);
    look_end(&watch, records);
    atomic_store(&not_before, clock_nanoseconds() + again);
}

void watchdog_look(void (*end)(void))
{
    const RecordedCall *call = rank_record_waiting(recorder_own());
    int64_t now = clock_nanoseconds();
    bool due = call && call->device && now - call->waited >= limit_of();
    if (due && now >= atomic_load(&not_before))
        look(end);
}

void watchdog_explain(Bytes *text)
{
    Watch watch;
    RankRecord *records;
    look_begin(&watch, &records);
    Bytes found = {0};
    if (hang_find_mismatch(&watch, &found))
        bytes_print(text, "; %s", found.data);
    bytes_free(&found);
    look_end(&watch, records);
}

// ---- the thread ---------------------------------------------------------------------------------

// False: it is to end.
static bool sleep_for(int64_t nanoseconds)
{
    int64_t until = clock_nanoseconds() + nanoseconds;
    struct timespec time = {until / SECOND, until % SECOND};
    pthread_mutex_lock(&mutex);
    int status = 0;
    while (!stopping && status == 0)
        status = pthread_cond_timedwait(&woken, &mutex, &time);
    bool goes_on = !stopping;
    pthread_mutex_unlock(&mutex);
    return goes_on;
}

// A process that was stopped, with its job or alone, has waited for longer than it could see: what
// it waits for gets the whole deadline anew.
static void *watch(void *context)
{
    (void)context;
    int64_t limit = limit_of();
    int64_t interval = limit / 8 < SECOND ? limit / 8 : SECOND;
    int64_t beat = clock_nanoseconds(), written = beat;
    RankRecord *mine = recorder_own();
    while (sleep_for(interval)) {
        int64_t now = clock_nanoseconds();
        if (now - beat > interval + limit / 2)
            atomic_store(&not_before, now + limit);
        beat = now;
        atomic_store(&mine->beat, now);
        // This host sees what stands in memory, others what is written to the file system.
        if (recorder_directory() && now - written >= limit / 4) {
            msync(mine, sizeof *mine, MS_SYNC);
            written = now;
        }
        const RecordedCall *call = rank_record_waiting(mine);
        if (call && !call->device && now >= atomic_load(&not_before))
            look(NULL);
    }
    return NULL;
}

static void start_thread(void)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&woken, &attributes);
    pthread_condattr_destroy(&attributes);
    stopping = false;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // inherited: signals go to the main thread
    threaded = pthread_create(&thread, NULL, watch, NULL) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!threaded)
        warn("rank %d: no thread can be had to watch over it", rank);
}

// Of a name that no other job has, where all ranks see it.
static char *make_temporary(const Group *all)
{
    const char *temporary = getenv("TMPDIR");
    Bytes path = {0};
    bool several_nodes = group_node_size(all) < all->size;
    if (all->rank == 0) {
        bytes_print(&path, "%s/learn2ask-XXXXXX",
                    several_nodes ? "."
                    : temporary   ? temporary
                                  : "/tmp");
        if (!mkdtemp(path.data))
            warn("%s: %s", path.data, strerror(errno)); // recorder_open will warn of the rest
    }
    group_broadcast_bytes(all, &path, 0);
    return path.data;
}

void watchdog_open(const Group *all, const char *directory)
{
    rank = all->rank;
    size = all->size;
    if (size == 1)
        return;
    char *path = directory ? duplicate(directory) : make_temporary(all);
    recorder_open(all, path);
    release(path);
    start_thread();
}

void watchdog_close(const Group *all)
{
    if (size == 1)
        return;
    if (threaded) {
        pthread_mutex_lock(&mutex);
        stopping = true;
        pthread_cond_signal(&woken);
        pthread_mutex_unlock(&mutex);
        pthread_join(thread, NULL);
        pthread_cond_destroy(&woken);
        threaded = false;
    }
    recorder_close(all);
    size = 1;
}
