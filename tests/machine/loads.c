/* The loads and the sampler of memguard's test machine: one static program, one subcommand each.
 *
 *     loads enter cgroup=DIR adj=N [fifo=PRIO] -- PROGRAM ...     move there, then become PROGRAM
 *     loads pause                                                 sleep for ever (sandbox, idle container)
 *     loads hog     rate= max= pages= threads= processes= ...     grow and never give back
 *     loads warm    rate= max= period_ms=                         JVM-like: rise, then keep touching everything
 *     loads spike   rate= max= hold_ms= gap_ms= repeat=           rise, hold, give back
 *     loads batch   rate= max= seconds=                           grow, exit cleanly at a fixed time
 *     loads shm     path= rate= max=                              fill a file on a tmpfs
 *     loads churn   path= op=read|write|ahead window= total= rate= seconds=   page-cache traffic, 128 KiB at a time
 *     loads lat     [seconds=]                                    innocent: map, touch and unmap 1 MiB every 5 ms
 *     loads watch   out= interval_us= rows= files=A,B#key,...     sampler into a shared buffer
 *     loads spin    threads=                                      burn CPU
 *     loads escape  dir= cgroups= processes= max= step= step_ms=  grow, deaf, forking and moving between dir/0, dir/1 ...
 *
 * All options are key=value. Sizes are MiB, rates MiB/s (0 = as fast as it goes), times as the name says; all clocks are
 * CLOCK_MONOTONIC in nanoseconds. Common options: delay_ms=, progress=FILE (see struct progress), report=FILE (one JSON
 * object, written at the end or on SIGTERM).
 *
 * Built with gcc -O2 -static -pthread: nothing here depends on the guest's libraries, and no page of it can be lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1L << 20)
#define PAGE 4096L
#define HUGE_PAGE (2 * MIB)
#define CHUNK (256 * 1024L) /* progress and pacing step of a 4 KiB hog: 0.1 ms at 2.5 GB/s */

/* Shared with the harness through a file on a tmpfs, so that it survives the load's SIGKILL. */
struct progress {
    _Atomic uint64_t filled_bytes; /* touched now, all threads and processes together */
    _Atomic uint64_t first_ns;     /* first page */
    _Atomic uint64_t last_ns;      /* last step finished */
    _Atomic uint64_t sigterm_ns;   /* SIGTERM arrived */
    _Atomic uint64_t exit_ns;      /* clean exit after SIGTERM, or end of a batch */
    _Atomic uint64_t worst_ns;     /* longest step */
    _Atomic uint64_t worst_at_ns;  /* when that step began */
};

static int option_count;
static char **options;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until_ns(uint64_t when) {
    struct timespec t = {.tv_sec = when / 1000000000u, .tv_nsec = when % 1000000000u};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void sleep_ms(double ms) {
    if (ms > 0) sleep_until_ns(now_ns() + (uint64_t)(ms * 1e6));
}

static void die(const char *what) {
    fprintf(stderr, "loads: %s: %s\n", what, strerror(errno));
    exit(3);
}

static const char *text(const char *key, const char *fallback) {
    size_t length = strlen(key);
    for (int i = 0; i < option_count; i++)
        if (!strncmp(options[i], key, length) && options[i][length] == '=') return options[i] + length + 1;
    return fallback;
}

static double number(const char *key, double fallback) {
    const char *value = text(key, NULL);
    return value ? atof(value) : fallback;
}

static void write_text(const char *path, const char *content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, content, strlen(content)) < 0) die(path);
    close(fd);
}

static struct progress *open_progress(void) {
    static struct progress private;
    const char *path = text("progress", NULL);
    if (!path) return &private;
    /* The harness made the file and touched it: its page is charged to the harness, not to the load. */
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) die(path);
    close(fd);
    return page;
}

static void report(const char *json) {
    const char *path = text("report", NULL);
    if (path) write_text(path, json);
}

static volatile sig_atomic_t stopped;
static atomic_int halt; /* a growing load stops where it is */

static void on_stop(int signal_number) {
    (void)signal_number;
    stopped = 1;
    atomic_store(&halt, 1);
}

static void stop_on_sigterm(void) {
    struct sigaction action = {.sa_handler = on_stop}; /* no SA_RESTART: sleeps and reads end at once */
    sigaction(SIGTERM, &action, NULL);
}

static int sleep_for_ever(void) {
    while (pause()) {
    }
    return 0;
}

/* --- growing ------------------------------------------------------------------------------------------------- */

struct worker {
    struct progress *progress;
    char *arena;
    long size;      /* bytes to fill */
    double rate;    /* bytes/s of this worker, 0 = unlimited */
    int huge, half; /* pages=thp; data=half: half of each page incompressible */
};

static void fill_half_page(char *page) {
    static _Thread_local uint64_t state = 88172645463325252u;
    for (uint64_t *word = (uint64_t *)page; word < (uint64_t *)(page + PAGE / 2); word++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        *word = state;
    }
}

/* One address range for the whole life: MAP_NORESERVE, so that the limit is memory and not overcommit. */
static char *make_arena(long size, int huge) {
    char *start =
        mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) die("mmap");
    start = (char *)(((uintptr_t)start + HUGE_PAGE - 1) & ~((uintptr_t)HUGE_PAGE - 1));
    madvise(start, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return start;
}

static void note_step(struct progress *progress, uint64_t began, long bytes) {
    uint64_t ended = now_ns(), none = 0;
    atomic_compare_exchange_strong(&progress->first_ns, &none, began);
    atomic_fetch_add(&progress->filled_bytes, bytes);
    atomic_store(&progress->last_ns, ended);
    if (ended - began > atomic_load(&progress->worst_ns)) {
        atomic_store(&progress->worst_ns, ended - began);
        atomic_store(&progress->worst_at_ns, began);
    }
}

static void *grow(void *argument) {
    struct worker *worker = argument;
    long step = worker->huge ? HUGE_PAGE : CHUNK;
    uint64_t start = now_ns();
    for (long done = 0; done < worker->size && !atomic_load(&halt); done += step) {
        if (worker->rate > 0) sleep_until_ns(start + (uint64_t)(done / worker->rate * 1e9));
        uint64_t began = now_ns();
        for (long i = done; i < done + step; i += PAGE) {
            if (worker->half) fill_half_page(worker->arena + i);
            worker->arena[i] = (char)(i >> 12) | 1;
        }
        note_step(worker->progress, began, step);
    }
    return NULL;
}

static struct worker make_worker(long share) {
    struct worker worker = {
        .progress = open_progress(),
        .size = (long)(number("max", 1024) * MIB) / share & ~(HUGE_PAGE - 1),
        .rate = number("rate", 0) * MIB / share,
        .huge = !strcmp(text("pages", "4k"), "thp"),
        .half = !strcmp(text("data", "touch"), "half"),
    };
    if (worker.size < HUGE_PAGE) worker.size = HUGE_PAGE;
    worker.arena = make_arena(worker.size, worker.huge);
    return worker;
}

static void block_sigterm(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* term_ms >= 0: a process that cleans up. SIGTERM -> needs term_ms -> exits 0; term_alloc=1 goes on growing meanwhile. */
static void exit_gracefully(struct progress *progress, const sigset_t *set) {
    int signal_number;
    sigwait(set, &signal_number);
    atomic_store(&progress->sigterm_ns, now_ns());
    if (!number("term_alloc", 0)) atomic_store(&halt, 1);
    sleep_ms(number("term_ms", 0));
    atomic_store(&progress->exit_ns, now_ns());
    _exit(0);
}

/* One process of a hog: `threads` threads that fill, and the main thread that waits. */
static void hog_process(long processes) {
    long threads = (long)number("threads", 1);
    int graceful = number("term_ms", -1) >= 0;
    sigset_t set;
    if (graceful) block_sigterm(&set);
    struct worker *workers = calloc(threads, sizeof *workers);
    for (long i = 0; i < threads; i++) {
        pthread_t thread;
        workers[i] = make_worker(threads * processes);
        if (pthread_create(&thread, NULL, grow, &workers[i])) die("pthread_create");
    }
    if (graceful) exit_gracefully(workers[0].progress, &set);
    for (;;) pause();
}

static int hog(void) {
    long processes = (long)number("processes", 1);
    sleep_ms(number("delay_ms", 0));
    if (processes == 1) hog_process(1);
    for (long i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0) die("fork");
        if (!child) hog_process(processes);
    }
    while (wait(NULL) > 0 || errno == EINTR) { /* the parent lasts as long as its children */
    }
    return 0;
}

static void touch_all(struct worker *worker) {
    for (long i = 0; i < worker->size && !stopped; i += PAGE) worker->arena[i]++;
}

static int warm(void) {
    stop_on_sigterm();
    sleep_ms(number("delay_ms", 0));
    struct worker worker = make_worker(1);
    grow(&worker);
    while (!stopped) {
        touch_all(&worker);
        sleep_ms(number("period_ms", 500));
    }
    return 0;
}

static int spike(void) {
    sleep_ms(number("delay_ms", 0));
    for (long i = 0; i < (long)number("repeat", 1); i++) {
        struct worker worker = make_worker(1);
        grow(&worker);
        sleep_ms(number("hold_ms", 200));
        madvise(worker.arena, worker.size, MADV_DONTNEED);
        munmap(worker.arena, worker.size);
        atomic_fetch_sub(&worker.progress->filled_bytes, worker.size);
        sleep_ms(number("gap_ms", 500));
    }
    return 0;
}

static int batch(void) {
    uint64_t start = now_ns();
    struct worker worker = make_worker(1);
    grow(&worker);
    sleep_until_ns(start + (uint64_t)(number("seconds", 10) * 1e9));
    atomic_store(&worker.progress->exit_ns, now_ns());
    return 0;
}

static int shm(void) {
    static char block[CHUNK];
    struct progress *progress = open_progress();
    double rate = number("rate", 0) * MIB;
    int fd = open(text("path", ""), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) die(text("path", "path="));
    memset(block, 1, sizeof block);
    sleep_ms(number("delay_ms", 0));
    uint64_t start = now_ns();
    for (long done = 0; done < (long)(number("max", 1024) * MIB); done += CHUNK) {
        if (rate > 0) sleep_until_ns(start + (uint64_t)(done / rate * 1e9));
        uint64_t began = now_ns();
        if (write(fd, block, sizeof block) < 0) break; /* ENOSPC: the tmpfs is full, the load holds what it has */
        note_step(progress, began, CHUNK);
    }
    return sleep_for_ever();
}

/* --- innocents ------------------------------------------------------------------------------------------------- */

/* One block through the page cache. "ahead" only brings it in: that fills a cache in half of the CPU time. */
static ssize_t move_block(int fd, char operation, long at, size_t size) {
    static char block[128 * 1024];
    if (operation == 'w') return pwrite(fd, block, size, at);
    if (operation == 'r') return pread(fd, block, size, at);
    return readahead(fd, at, size) ? -1 : (ssize_t)size;
}

static int churn(void) {
    const size_t block = 128 * 1024;
    char operation = *text("op", "read");
    double rate = number("rate", 0) * MIB, seconds = number("seconds", 0);
    long window = (long)(number("window", 256) * MIB), total = (long)(number("total", 0) * MIB);
    stop_on_sigterm();
    sleep_ms(number("delay_ms", 0));
    int fd = open(text("path", ""), (operation == 'w' ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0644);
    if (fd < 0) die(text("path", "path="));
    uint64_t start = now_ns(), last = start, worst = 0;
    uint64_t end = seconds > 0 ? start + (uint64_t)(seconds * 1e9) : UINT64_MAX;
    long done = 0, at = 0, failed = 0;
    while (!stopped && last < end && (!total || done < total)) {
        if (rate > 0) sleep_until_ns(start + (uint64_t)(done / rate * 1e9));
        uint64_t began = now_ns();
        ssize_t got = move_block(fd, operation, at, block);
        last = now_ns();
        if (last - began > worst) worst = last - began;
        if (got < 0 && errno != EINTR) { failed = errno; break; }
        if (got > 0) done += got, at += got;
        if (got == 0 || at + (long)block > window) at = 0;
    }
    char json[256];
    double elapsed = (now_ns() - start) / 1e9;
    snprintf(json, sizeof json, "{\"mib_per_s\": %.1f, \"mib\": %.1f, \"seconds\": %.3f, \"worst_ms\": %.2f, \"errno\": %ld}\n",
             done / (double)MIB / elapsed, done / (double)MIB, elapsed, worst / 1e6, failed);
    report(json);
    return failed != 0;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Its own bookkeeping is locked, so that it measures the megabyte and not itself. */
static int lat(void) {
    enum { LIMIT = 200000 };
    static uint32_t took_us[LIMIT];
    double seconds = number("seconds", 0);
    stop_on_sigterm();
    mlockall(MCL_CURRENT);
    memset(took_us, 0, sizeof took_us);
    uint64_t start = now_ns(), end = seconds > 0 ? start + (uint64_t)(seconds * 1e9) : UINT64_MAX;
    uint64_t worst = 0, worst_at = 0, stall = 0;
    int n = 0, over = 0;
    for (uint64_t began = start; !stopped && began < end && n < LIMIT; n++) {
        char *block = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) die("mmap");
        madvise(block, MIB, MADV_NOHUGEPAGE);
        for (long i = 0; i < MIB; i += PAGE) block[i] = 1;
        munmap(block, MIB);
        uint64_t took = now_ns() - began;
        took_us[n] = took > UINT32_MAX * 1000ul ? UINT32_MAX : took / 1000;
        if (took > worst) worst = took, worst_at = began;
        if (took > 100000000u) over++, stall += took;
        struct timespec rest = {.tv_nsec = 5000000};
        nanosleep(&rest, NULL);
        began = now_ns();
    }
    qsort(took_us, n, sizeof *took_us, by_size);
    char json[320];
    snprintf(json, sizeof json,
             "{\"n\": %d, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"worst_ms\": %.3f, \"worst_at_ns\": %lu, "
             "\"over_100ms\": %d, \"stall_ms\": %.1f}\n",
             n, n ? took_us[n / 2] / 1e3 : 0, n ? took_us[(long)n * 99 / 100] / 1e3 : 0, worst / 1e6, worst_at, over,
             stall / 1e6);
    report(json);
    return 0;
}

static void *burn(void *argument) {
    for (volatile unsigned long i = 0;; i++) {
    }
    return argument;
}

static int spin(void) {
    for (long i = 1; i < (long)number("threads", 1); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, burn, NULL)) die("pthread_create");
    }
    burn(NULL);
    return 0;
}

/* --- the sampler ----------------------------------------------------------------------------------------------- */

enum { COLUMN_LIMIT = 24 };

struct column {
    char *key; /* "\nMemAvailable:" or NULL: the file's first number */
    int fd;    /* -1: the same file as the column before */
};

/* First integer after the key; -1 for "max", a missing key or a vanished cgroup. */
static int64_t parse(const char *content, const char *key) {
    const char *at = content;
    if (key) {
        at = !strncmp(content, key + 1, strlen(key) - 1) ? content : strstr(content, key);
        if (!at) return -1;
        at += strlen(key) - (at == content);
    }
    while (*at == ' ' || *at == ':') at++;
    return *at >= '0' && *at <= '9' ? atoll(at) : -1;
}

static int open_columns(struct column *columns) {
    char *list = strdup(text("files", "")), *before = NULL;
    int count = 0;
    for (char *item = strtok(list, ","); item && count < COLUMN_LIMIT; item = strtok(NULL, ","), count++) {
        char *hash = strchr(item, '#');
        columns[count].key = NULL;
        if (hash) {
            *hash = 0;
            if (asprintf(&columns[count].key, "\n%s", hash + 1) < 0) die("asprintf");
        }
        columns[count].fd = before && !strcmp(before, item) ? -1 : open(item, O_RDONLY | O_CLOEXEC);
        if (columns[count].fd < 0 && !(before && !strcmp(before, item))) die(item);
        before = item;
    }
    return count;
}

/* out= is a file of `rows` rows of int64: [row count, columns] in the first row, then time_ns, progress, columns.
 * It lives on a tmpfs and is locked: a row survives whatever happens to us. */
static int watch(void) {
    static struct column columns[COLUMN_LIMIT];
    static char content[8192];
    int count = open_columns(columns);
    struct progress *progress = open_progress();
    long width = count + 2, limit = (long)number("rows", 10000);
    size_t size = (limit + 1) * width * sizeof(int64_t);
    int fd = open(text("out", ""), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, size)) die(text("out", "out="));
    int64_t *row = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (row == MAP_FAILED || mlockall(MCL_CURRENT)) die("mlockall");
    struct sched_param priority = {.sched_priority = 60}; /* above the guard's 1: we see what it does, on time */
    if (sched_setscheduler(0, SCHED_FIFO, &priority)) die("SCHED_FIFO");
    stop_on_sigterm();
    int64_t *rows_done = row;
    row[1] = width;
    uint64_t interval = (uint64_t)(number("interval_us", 2000) * 1000), next = now_ns();
    while (!stopped && *rows_done < limit) {
        row += width;
        row[0] = (int64_t)now_ns();
        row[1] = (int64_t)atomic_load(&progress->filled_bytes);
        for (int i = 0; i < count; i++) {
            if (columns[i].fd >= 0) {
                ssize_t got = pread(columns[i].fd, content, sizeof content - 1, 0);
                content[got > 0 ? got : 0] = 0;
            }
            row[2 + i] = parse(content, columns[i].key);
        }
        ++*rows_done;
        next += interval;
        if (next < now_ns()) next = now_ns();
        struct timespec t = {.tv_sec = next / 1000000000u, .tv_nsec = next % 1000000000u};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    }
    return 0;
}

/* --- a tenant that will not be caught --------------------------------------------------------------------------- */

/* Into another cgroup by birth, and once more by a second fork, whose parent is gone when anybody looks. */
static void fork_away(int cgroup, _Atomic int *processes, int most) {
    struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)cgroup};
    if (atomic_fetch_add(processes, 1) >= most) {
        atomic_fetch_sub(processes, 1);
        return;
    }
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (child < 0) atomic_fetch_sub(processes, 1); /* being killed, or no more processes are to be had */
    if (!child && fork()) _exit(0);
}

static int escape(void) {
    char name[4096];
    int count = (int)number("cgroups", 1), most = (int)number("processes", 1);
    long share = (long)(number("max", 1024) * MIB) / most, step = (long)(number("step", 1) * MIB);
    int *cgroups = calloc(count, sizeof *cgroups);
    _Atomic int *processes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 1; i < NSIG; i++) signal(i, SIG_IGN);
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/%d", text("dir", ""), i);
        if ((cgroups[i] = open(name, O_RDONLY | O_DIRECTORY)) < 0) die(name);
    }
    char *arena = make_arena(share, 0);
    for (long done = 0;; done = (done + step) % share) {
        int next = (int)((getpid() + done / step) % count);
        for (long i = done; i < done + step && i < share; i += PAGE) arena[i]++;
        int procs = openat(cgroups[next], "cgroup.procs", O_WRONLY);
        if (write(procs, "0", 1) < 0) sleep_ms(1);
        close(procs);
        fork_away(cgroups[(next + 1) % count], processes, most);
        sleep_ms(number("step_ms", 20));
    }
    return 0;
}

/* --- entering a cgroup ----------------------------------------------------------------------------------------- */

static int enter(int argc, char **argv) {
    char path[4096];
    int split = 0;
    while (split < argc && strcmp(argv[split], "--")) split++;
    if (split + 1 >= argc) return 2;
    option_count = split;
    const char *cgroup = text("cgroup", NULL), *adjustment = text("adj", NULL);
    if (cgroup) {
        snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
        write_text(path, "0");
    }
    if (adjustment) write_text("/proc/self/oom_score_adj", adjustment);
    if (number("fifo", 0) > 0) {
        struct sched_param priority = {.sched_priority = (int)number("fifo", 0)};
        if (sched_setscheduler(0, SCHED_FIFO, &priority)) die("SCHED_FIFO");
    }
    execvp(argv[split + 1], argv + split + 1);
    die(argv[split + 1]);
    return 3;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(void);
    } commands[] = {{"hog", hog},     {"warm", warm}, {"spike", spike}, {"batch", batch}, {"shm", shm},
                    {"churn", churn}, {"lat", lat},   {"watch", watch}, {"spin", spin},   {"pause", sleep_for_ever},
                    {"escape", escape}};
    if (argc < 2) return 2;
    option_count = argc - 2;
    options = argv + 2;
    prctl(PR_SET_NAME, argv[1]);
    if (!strcmp(argv[1], "enter")) return enter(argc - 2, argv + 2);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name)) return commands[i].run();
    fprintf(stderr, "loads: no such load: %s\n", argv[1]);
    return 2;
}
