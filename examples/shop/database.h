/* database.h - the orders' SQLite file; every statement is a span.
 *
 * Threads   all; SQLite serialises them.
 */
#ifndef SHOP_DATABASE_H
#define SHOP_DATABASE_H

#include <stdint.h>

int db_open(const char *path); /* "": a temporary file; makes the tables; 0 or -1 */
void db_close(void);

/* Runs one statement with ?1 = a and ?2 = b.
 *
 * out_value   first column of the first row; may be NULL.
 * Returns     0; 1 when a value was asked for and there is no row; -1 on an error (told on the span). */
int db_query(const char *sql, int64_t a, int64_t b, int64_t *out_value);

#endif /* SHOP_DATABASE_H */
