/* Counts what a Python process asks of its three allocators (raw, mem, object): requests, and bytes.
 *
 *     install()            from now on
 *     told(unsigned long found[2])
 *
 * Python's allocators are wrapped, as PyMem_SetAllocator is documented; for a process with one thread. Built with
 * gcc -O2 -shared -nostdlib: the functions that it calls are the interpreter's own.
 */
#include <stddef.h>

typedef struct {
    void *ctx;
    void *(*malloc)(void *ctx, size_t size);
    void *(*calloc)(void *ctx, size_t count, size_t size);
    void *(*realloc)(void *ctx, void *pointer, size_t size);
    void (*free)(void *ctx, void *pointer);
} PyMemAllocatorEx;

extern void PyMem_GetAllocator(int domain, PyMemAllocatorEx *allocator);
extern void PyMem_SetAllocator(int domain, PyMemAllocatorEx *allocator);

enum { DOMAINS = 3 };

static PyMemAllocatorEx inner[DOMAINS];
static unsigned long requests, bytes;
/* What is too large for the object allocator it asks the raw one for: that is no second request. */
static int asking;

static void count(size_t size) {
    if (asking)
        return;
    requests++;
    bytes += size;
}

static void *counted_malloc(void *ctx, size_t size) {
    PyMemAllocatorEx *in = ctx;
    count(size);
    asking++;
    void *found = in->malloc(in->ctx, size);
    asking--;
    return found;
}

static void *counted_calloc(void *ctx, size_t number, size_t size) {
    PyMemAllocatorEx *in = ctx;
    count(number * size);
    asking++;
    void *found = in->calloc(in->ctx, number, size);
    asking--;
    return found;
}

static void *counted_realloc(void *ctx, void *pointer, size_t size) {
    PyMemAllocatorEx *in = ctx;
    count(size);
    asking++;
    void *found = in->realloc(in->ctx, pointer, size);
    asking--;
    return found;
}

static void counted_free(void *ctx, void *pointer) {
    PyMemAllocatorEx *in = ctx;
    in->free(in->ctx, pointer);
}

void install(void) {
    for (int domain = 0; domain < DOMAINS; domain++) {
        PyMem_GetAllocator(domain, &inner[domain]);
        PyMemAllocatorEx counting = {&inner[domain], counted_malloc, counted_calloc, counted_realloc, counted_free};
        PyMem_SetAllocator(domain, &counting);
    }
}

void told(unsigned long found[2]) {
    found[0] = requests;
    found[1] = bytes;
}
