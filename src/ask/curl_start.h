// curl_start.h - libcurl is started once, before any thread of ours uses it.

#ifndef L2A_ASK_CURL_START_H
#define L2A_ASK_CURL_START_H

// Dies where libcurl cannot be started.
void curl_start(void);

#endif
