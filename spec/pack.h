/* pack.h - bytes as gzip and zstd would pack them if they could compress
 * nothing: members and frames of stored blocks, for specs. */
#ifndef SPEC_PACK_H
#define SPEC_PACK_H

#include "core/buffer.h"

/* Append one whole member or frame. No memory fails the spec. */
void pack_gzip(struct buffer *out, const void *bytes, size_t count);
void pack_zstd(struct buffer *out, const void *bytes, size_t count);

#endif
