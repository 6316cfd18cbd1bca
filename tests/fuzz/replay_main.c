/* replay_main.c - runs every file of the given corpus folders through a fuzz target once.
 *
 * An ordinary main, so that ordinary test runs, of any compiler and sanitizer, replay what fuzzing has
 * found.  Fails when a folder is missing or empty: a replay of nothing would look like success. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES (16u << 20)
#define PATH_MAX_BYTES  4096

/* A copy of exactly the file's size, so that a sanitizer sees a read behind its end. */
static uint8_t *read_input(const char *path, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        size <= (long)INPUT_MAX_BYTES && fseek(file, 0, SEEK_SET) == 0) {
        *out_len = (size_t)size;
        data = (uint8_t *)calloc(1, *out_len ? *out_len : 1);
        if (data && fread(data, 1, *out_len, file) != *out_len) {
            free(data);
            data = NULL;
        }
    }
    (void)fclose(file);
    return data;
}

static int replay_file(const char *path)
{
    size_t len = 0;
    uint8_t *data = read_input(path, &len);

    if (!data) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 0;
}

/* The number of inputs run, -1 on failure. */
static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    if (!dir) {
        fprintf(stderr, "%s: no such corpus\n", folder);
        return -1;
    }
    while (count >= 0 && (entry = readdir(dir)) != NULL) {
        char path[PATH_MAX_BYTES];

        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int)sizeof(path) ||
            replay_file(path) != 0)
            count = -1;
        else
            count++;
    }
    (void)closedir(dir);
    if (count == 0) {
        fprintf(stderr, "%s: the corpus is empty\n", folder);
        return -1;
    }
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;
    int i;

    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER...\n", argv[0]);
        return 2;
    }
    for (i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);

        if (count < 0)
            return 1;
        total += count;
    }
    printf("%d inputs\n", total);
    return 0;
}
