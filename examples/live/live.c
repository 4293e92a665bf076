/* A thread that runs a compiled network block by block, as an audio host would, and measures how long each took.
 *
 *     cc -O2 -shared -fPIC -pthread -I $(python -c "import trous; print(trous.__path__[0])")/include -o live.so live.c
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <time.h>
#ifdef __SSE__
#include <xmmintrin.h>
#endif

#include "trous.h"

typedef struct job {
    const trous_stream *stream;
    const float *in;
    float *out;
    double *seconds;
    int64_t count, block;
} job;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
}

static void *play(void *given) {
    const job *all = given;
#ifdef __SSE__
    _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
#endif
    int64_t written = 0, length = all->count + all->stream->growth;
    for (int64_t at = 0, number = 0; at < all->count; at += all->block, number++) {
        int64_t left = all->count - at, size = left < all->block ? left : all->block;
        double begin = now();
        written += trous_push(all->stream, all->in + at, all->count, all->out + written, length, size);
        all->seconds[number] = now() - begin;
    }
    trous_flush(all->stream, all->out + written, length);
    return 0;
}

/* `count` samples of each channel through the stream, `block` at a time, of which `out` takes `growth` more; `seconds`
 * takes the time of every block. */
int run(const trous_stream *stream, const float *in, float *out, double *seconds, int64_t count, int64_t block) {
    job all = {stream, in, out, seconds, count, block};
    pthread_t thread;
    if (pthread_create(&thread, 0, play, &all)) return 1;
    return pthread_join(thread, 0);
}
