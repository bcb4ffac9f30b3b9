// server.h - misbehaving_server.py, started by a test and ended with it.

#ifndef L2A_TESTS_ASK_SERVER_H
#define L2A_TESTS_ASK_SERVER_H

#include <jansson.h>
#include <sys/types.h>

typedef struct {
    pid_t process;
    int input; // the server ends when it closes
    int port;
    char url[64]; // "http://127.0.0.1:PORT/v1"
} Server;

// False where there is no python3: the test is then skipped.
int server_start(Server *server);
void server_stop(Server *server);

// What the server has seen; a new reference.
json_t *server_stats(const Server *server);

#endif
