#include "spec/definition.h"
#include "core/alloc.h"
#include "lua/definition.h"
#include "spec/spec.h"

char *definition_errors(const char *text)
{
    struct definition *d = NULL;
    char *errors = NULL;
    err e = definition_parse("t.lua", text, strlen(text), NULL, 0, NULL, &d,
                             &errors);
    if (e != ERR_CONFIG)
        spec_fail(__FILE__, __LINE__, "\"%s\" gives: %s", text, err_text(e));
    CHECK(d == NULL && errors != NULL);
    return errors;
}

void definition_check_errors(const char *text, const char *wanted)
{
    char *errors = definition_errors(text);
    if (strcmp(errors, wanted) != 0)
        spec_fail(__FILE__, __LINE__, "\"%s\" gives:\n%s\nnot:\n%s", text,
                  errors, wanted);
    mem_free(errors);
}
