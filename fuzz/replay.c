/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over its corpus (or the files named) as a normal test. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/fuzz.h"

static int replay(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	long n;

	if (!f)
		return perror(path), 1;
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	rewind(f);
	data = malloc(n > 0 ? (size_t)n : 1); /* exact, for the sanitizer */
	if (n < 0 || fread(data, 1, (size_t)n, f) != (size_t)n)
		return perror(path), 1;
	fclose(f);
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(data, (size_t)n);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	const char *dir = FUZZ_CORPUS;
	int n = 0, rc = 0;
	struct dirent *d;
	DIR *h;

	for (int i = 1; i < argc; i++)
		rc |= replay(argv[i]);
	if (argc > 1)
		return rc;
	h = opendir(dir);
	if (!h)
		return perror(dir), 1;
	while ((d = readdir(h))) {
		char path[4096];

		if (*d->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, d->d_name);
		rc |= replay(path);
		n++;
	}
	closedir(h);
	printf("%d inputs\n", n);
	return rc || !n;
}
