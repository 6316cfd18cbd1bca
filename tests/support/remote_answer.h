/* support/remote_answer.h - an agent's answer to a poll for remote configuration, from plain files. */
#ifndef SONDE_TESTS_SUPPORT_REMOTE_ANSWER_H
#define SONDE_TESTS_SUPPORT_REMOTE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

typedef struct remote_content {
    const char *path; /* NULL: none, ends a list */
    const char *json;
    uint64_t version;
} remote_content;

/* To be freed with free(). */
char *remote_answer(uint64_t version, const remote_content *files, size_t len);

#endif /* SONDE_TESTS_SUPPORT_REMOTE_ANSWER_H */
