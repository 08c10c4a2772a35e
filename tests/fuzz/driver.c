/* SPDX-License-Identifier: Apache-2.0 */
/*
 * driver.c - a fuzz target as a plain program: over the files named, or else over the committed
 * ones in tests/fuzz/corpus/ of the program's name
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole file in memory that ends with it. Returns NULL with errno set. */
static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END))
		size = ftell(f);
	if (size >= 0 && !fseek(f, 0, SEEK_SET))
		data = malloc(size ? (size_t)size : 1);
	if (data && fread(data, 1, (size_t)size, f) != (size_t)size) {
		free(data);
		data = NULL;
		errno = EIO;
	}
	fclose(f);
	*ret_size = (size_t)size;
	return data;
}

static int run_file(const char *path)
{
	size_t size;
	uint8_t *data = read_file(path, &size);

	if (!data) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

/* Returns how many files there were; -1 after a failure. */
static int run_folder(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), done = 0;
	char path[1024 + 258];

	if (n < 0) {
		fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && done >= 0)
			done = run_file(path) ? -1 : done + 1;
		free(names[i]);
	}
	free(names);
	return done;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	char folder[1024];
	int n = argc - 1;

	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]))
			return 1;
	if (argc == 1) {
		snprintf(folder, sizeof(folder), "tests/fuzz/corpus/%s", name);
		n = run_folder(folder);
		/* a corpus that is not there tests nothing */
		if (n <= 0)
			return 1;
	}
	printf("%s: %d inputs\n", name, n);
	return 0;
}
