#include "core/err.h"

const char *err_text(err e)
{
    static const char *const text[] = {
#define X(code, sentence) [code] = sentence,
        ERR_LIST(X)
#undef X
    };
    return (unsigned)e < ERR_COUNT ? text[e] : "an unknown error";
}
