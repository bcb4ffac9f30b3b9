// curl_start.h - libcurl as all of us use it: started once, before any thread, and every request a
// POST to its own address only, over no proxy that would see a key.

#ifndef L2A_ASK_CURL_START_H
#define L2A_ASK_CURL_START_H

#include <curl/curl.h>

#include "base/memory.h"

// Dies where libcurl cannot be started.
void curl_start(void);

// A handle that posts `body` (borrowed while it is used) to `address`, given up after `timeout`
// seconds; headers and receiver are the caller's. Dies where there is none.
CURL *curl_open_post(const char *address, const Bytes *body, double timeout);

#endif
