/* support/temp_dir.h - a folder of its own for a test. */
#ifndef SONDE_TESTS_SUPPORT_TEMP_DIR_H
#define SONDE_TESTS_SUPPORT_TEMP_DIR_H

#include <stddef.h>

void temp_dir_make(char *out_path, size_t cap); /* stops the program when it cannot */
void temp_dir_remove(const char *path);         /* with the files and folders in it */

#endif /* SONDE_TESTS_SUPPORT_TEMP_DIR_H */
