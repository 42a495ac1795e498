/* definition.h - what is said of definitions that are wrong. */
#ifndef SPEC_DEFINITION_H
#define SPEC_DEFINITION_H

/* Parses a text that must be wrong, as "t.lua"; its errors, which the caller
 * frees (mem_free()). */
char *definition_errors(const char *text);
/* They are these. */
void definition_check_errors(const char *text, const char *wanted);

#endif
