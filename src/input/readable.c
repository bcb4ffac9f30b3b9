#include "input/readable.h"

#include <sys/stat.h>

void readable_apply(Readable readable_by)
{
    static const mode_t kept_out[] = {
        [READABLE_OWNER] = 077, [READABLE_GROUP] = 027, [READABLE_ALL] = 022};
    umask(umask(077) | kept_out[readable_by]);
}
