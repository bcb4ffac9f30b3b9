#include "ask/curl_start.h"

#include <curl/curl.h>
#include <stdbool.h>

#include "base/fail.h"

void curl_start(void)
{
    static bool started;
    if (!started && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        die(EXIT_UNAVAILABLE, "libcurl cannot be started");
    started = true;
}
