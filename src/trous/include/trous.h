/* A network that trous has compiled (`trous.stream(module, fused=True)`), called from C.
 *
 * `stream.native` in Python is a `trous_stream`; its pointers hold for as long as the Python object lives. Samples are
 * float, or double where the stream was made for these; channel `c` of a block begins `c * stride` samples behind the
 * first. Nothing here allocates, locks or waits, so all of it may be called by a real-time thread: one thread at a time
 * for one stream. A signal that fades out can reach numbers so small (subnormal ones) that processors take a hundred
 * times as long; a real-time thread has them flushed to zero, as audio hosts do (_MM_SET_FLUSH_ZERO_MODE).
 */
#ifndef TROUS_H
#define TROUS_H

#include <stdint.h>

typedef int64_t (*trous_function)(void *state, const void *in, int64_t in_stride, void *out, int64_t out_stride,
                                  int64_t count);

typedef struct trous_stream {
    trous_function function;
    void *state;
    int64_t delay;  /* by how many samples the output is late */
    int64_t growth; /* how many samples the output has more than the input, at the end */
    int64_t in_channels, out_channels;
} trous_stream;

/* The next `count` samples; `out`, which may be `in`, takes what is known now and was not before. Returns how many
 * samples that is: `count`, but for the first `delay`. */
static inline int64_t trous_push(const trous_stream *stream, const void *in, int64_t in_stride, void *out,
                                 int64_t out_stride, int64_t count) {
    return count > 0 ? stream->function(stream->state, in, in_stride, out, out_stride, count) : 0;
}

/* The signal is over: `out` takes the samples still to come, `delay + growth` or fewer. Returns how many these are. What
 * is pushed next begins another signal. */
static inline int64_t trous_flush(const trous_stream *stream, void *out, int64_t out_stride) {
    return stream->function(stream->state, 0, 0, out, out_stride, 0);
}

/* Begin another signal at once. */
static inline void trous_reset(const trous_stream *stream) { stream->function(stream->state, 0, 0, 0, 0, 0); }

#endif
