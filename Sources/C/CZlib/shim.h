#pragma once
#include <zlib.h>

/* deflateInit2 and inflateInit2 are macros. 16 more than the window's bits asks for gzip's head and tail. */
static inline int lectern_gzip_begin(z_stream *stream) {
    return deflateInit2(stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
}
static inline int lectern_gunzip_begin(z_stream *stream) { return inflateInit2(stream, 15 + 16); }
static inline int lectern_zlib_begin(z_stream *stream) { return deflateInit(stream, Z_DEFAULT_COMPRESSION); }
static inline int lectern_unzlib_begin(z_stream *stream) { return inflateInit(stream); }
