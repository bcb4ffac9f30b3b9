#include "parallel/deadline.h"

static double limit = 600;

void deadline_set(double seconds)
{
    limit = seconds;
}

double deadline_seconds(void)
{
    return limit;
}
