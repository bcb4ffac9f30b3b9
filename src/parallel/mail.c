#include "parallel/mail.h"

#include <limits.h>

#include "base/clock.h"
#include "base/fail.h"
#include "parallel/recorder.h"

enum { TAG = 1000 }; // of kind 0; collective calls use none

typedef struct {
    MPI_Request request;
    Bytes bytes;
} Posted;

struct Mail {
    const Group *group; // borrowed
    Posted *posted;     // owned: what its receiver may not have taken yet
    size_t count, capacity;
};

Mail *mail_open(const Group *group)
{
    Mail *mail = allocate(1, sizeof *mail);
    mail->group = group;
    return mail;
}

// Frees what has been sent; messages move on only while somebody calls MPI.
static void progress(Mail *mail)
{
    size_t kept = 0;
    for (size_t i = 0; i < mail->count; i++) {
        int sent;
        MPI_Test(&mail->posted[i].request, &sent, MPI_STATUS_IGNORE);
        if (sent)
            bytes_free(&mail->posted[i].bytes);
        else
            mail->posted[kept++] = mail->posted[i];
    }
    mail->count = kept;
}

void mail_post(Mail *mail, int to, int kind, const Bytes *bytes)
{
    CHECK(bytes->length <= INT_MAX, "a letter of %zu bytes", bytes->length);
    progress(mail);
    grow((void **)&mail->posted, &mail->capacity, mail->count + 1, sizeof *mail->posted);
    Posted *posted = &mail->posted[mail->count++];
    *posted = (Posted){0};
    bytes_append(&posted->bytes, bytes->data, bytes->length);
    MPI_Isend(posted->bytes.data, (int)bytes->length, MPI_BYTE, to, TAG + kind, mail->group->comm,
              &posted->request);
}

static void doze(void)
{
    clock_sleep(2e-4);
}

bool mail_take(Mail *mail, bool wait, Letter *letter)
{
    int found = 0, length;
    MPI_Status status;
    MPI_Message message;
    int64_t call = 0;
    for (;;) {
        progress(mail);
        MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, mail->group->comm, &found, &message, &status);
        if (found || !wait)
            break;
        if (call == 0)
            recorder_wait(call = recorder_enter_any(mail->group->record, "letters"));
        doze();
    }
    recorder_leave(call);
    if (!found)
        return false;
    MPI_Get_count(&status, MPI_BYTE, &length);
    *letter = (Letter){.from = status.MPI_SOURCE, .kind = status.MPI_TAG - TAG};
    grow((void **)&letter->bytes.data, &letter->bytes.capacity, (size_t)length + 1, 1);
    letter->bytes.length = (size_t)length;
    MPI_Mrecv(letter->bytes.data, length, MPI_BYTE, &message, MPI_STATUS_IGNORE);
    return true;
}

void mail_close(Mail *mail)
{
    int64_t call = recorder_enter_any(mail->group->record, "receipts");
    recorder_wait(call);
    for (progress(mail); mail->count > 0; progress(mail))
        doze();
    recorder_leave(call);
    release(mail->posted);
    release(mail);
}
