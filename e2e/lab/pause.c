/* The sandbox's process: it holds the pod's namespaces, reaps what is left to it, and ends when it is told to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int signal) {
    if (signal != SIGCHLD) _exit(0);
    while (waitpid(-1, 0, WNOHANG) > 0) {
    }
}

int main(void) {
    signal(SIGINT, reap);
    signal(SIGTERM, reap);
    signal(SIGCHLD, reap);
    for (;;) pause();
}
