/* sanitized.h - is this a build with a sanitizer? Then PLAIN: a heap takes each
 * block from malloc, where the sanitizer sees it. */
#ifndef SPEC_SANITIZED_H
#define SPEC_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifdef SANITIZED
enum { PLAIN = true };
#else
enum { PLAIN = false };
#endif

#endif
